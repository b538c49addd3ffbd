//! What became of the requests of each step: columns of those answered, held, failed and dropped.

use super::axis::Axis;
use super::bands::{HEIGHT, bands, line, round_up};
use super::steps::{Group, Step};
use super::{both, push};

pub(super) fn chart(groups: &[Group], axis: &Axis) -> String {
    let mut page =
        bands(axis, "requests per second, by what became of them", groups, |svg, group, top| {
            let rate = |of_step: &Step| of_step.per_second(of_step.asked());
            let most = round_up(group.steps.iter().map(rate).fold(1.0, f64::max));
            let bottom = top + HEIGHT;
            for share in [0.5, 1.0] {
                line(svg, bottom - share * HEIGHT, &format!("{} /s", most * share));
            }
            for of_step in &group.steps {
                column(svg, axis, of_step, HEIGHT / most, bottom);
            }
        });
    page.push_str("<p class=\"legend\">");
    for (class, english, chinese) in [
        ("o", "answered within a second", "一秒内应答"),
        ("h", "answered later", "超过一秒才应答"),
        ("f", "failed, or outcome unknown", "失败或结果未知"),
        ("d", "dropped: never sent", "丢弃:未发出"),
    ] {
        let text = both(english, chinese);
        push(&mut page, &format!("<span><i class=\"square {class}\"></i> {text}</span>"));
    }
    let told = both("By when a request was due.", "按请求应发时刻统计。");
    push(&mut page, &format!("{told}</p>"));
    page
}

/// From below: what went well is always at the bottom.
fn column(svg: &mut String, axis: &Axis, of_step: &Step, scale: f64, bottom: f64) {
    let Step { prompt, held, failed, dropped, .. } = of_step;
    let (x, until) = (axis.x(of_step.from), axis.x(of_step.until));
    let width = (until - x - 0.5).max(0.5);
    let mut y = bottom;
    for (class, count) in [("o", prompt), ("h", held), ("f", failed), ("d", dropped)] {
        if *count == 0 {
            continue;
        }
        let height = of_step.per_second(*count) * scale;
        y -= height;
        push(
            svg,
            &format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 class=\"square {class}\"/>"
            ),
        );
    }
}
