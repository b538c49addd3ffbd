//! Where the time went: per cell that was hit, one bar from the fault to the first user served.

use super::super::document::{Document, Stage, Stages};
use super::axis::{Axis, LEFT, RIGHT, WIDTH};
use super::{TABLE, TABLE_END, both, escape, push, words};

const BAR: f64 = 24.0;
const GAP: f64 = 12.0;

pub(super) fn chart(document: &Document) -> String {
    let told: Vec<&Stages> =
        document.stages.iter().filter(|stages| !stages.reached.is_empty()).collect();
    if told.is_empty() {
        let nothing = both("No cell moved.", "没有单元迁移。");
        return format!("<p>{nothing}</p>\n");
    }
    let all = told.iter().flat_map(|stages| &stages.reached);
    let end = all.map(|reached| reached.after).fold(0.1, f64::max);
    let height = f64::from(u32::try_from(told.len()).unwrap_or(0)) * (BAR + GAP) + 20.0;
    let mut svg = String::new();
    Axis::open(&mut svg, height, "from the fault to the first user served, by stage");
    let x = |after: f64| LEFT + after / end * (WIDTH - LEFT - RIGHT - 50.0);
    let mut top = GAP / 2.0;
    for stages in &told {
        let (left, y) = (LEFT - 8.0, top + BAR / 2.0 + 4.0);
        push(
            &mut svg,
            &format!(
                "<text x=\"{left}\" y=\"{y:.1}\" class=\"cell\" text-anchor=\"end\">{}</text>",
                escape(&stages.cell)
            ),
        );
        let mut reached = stages.reached.clone();
        reached.sort_by(|one, other| one.after.total_cmp(&other.after));
        let mut from = 0.0;
        for stage in &reached {
            let (class, line) = (words::class(stage.stage), words::line(stage.stage).english);
            let width = (x(stage.after) - x(from)).max(1.5);
            push(
                &mut svg,
                &format!(
                    "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" \
                     class=\"stage {class}\"><title>{line}: {:.2} s</title></rect>",
                    x(from),
                    stage.after
                ),
            );
            from = from.max(stage.after);
        }
        let end = x(from) + 6.0;
        push(
            &mut svg,
            &format!("<text x=\"{end:.1}\" y=\"{y:.1}\" class=\"tick\">{from:.2} s</text>"),
        );
        top += BAR + GAP;
    }
    Axis::close(&mut svg);
    table(&mut svg, &told);
    svg
}

fn table(page: &mut String, told: &[&Stages]) {
    push(page, &format!("{TABLE}\n<tr><th>{}</th>", both("reached after", "达到时间")));
    for stages in told {
        push(page, &format!("<th>{}</th>", escape(&stages.cell)));
    }
    push(page, "</tr>");
    for stage in Stage::ALL {
        let (class, line) = (words::class(stage), words::line(stage));
        let text = both(line.english, line.chinese);
        push(page, &format!("<tr><td><i class=\"key stage {class}\"></i> {text}</td>"));
        for stages in told {
            let reached = stages.reached.iter().find(|reached| reached.stage == stage);
            let after = reached.map_or_else(|| "–".to_owned(), |r| format!("{:.2} s", r.after));
            push(page, &format!("<td>{after}</td>"));
        }
        push(page, "</tr>");
    }
    push(page, TABLE_END);
}
