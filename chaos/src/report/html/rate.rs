//! What became of the requests of each step: columns of those answered, held, failed and dropped.

use super::axis::Axis;
use super::bands::{HEIGHT, bands, line, round_up};
use super::steps::{Group, Step, steps};
use super::{both, push};

pub(super) fn chart(groups: &[Group<'_>], axis: &Axis, step: f64) -> String {
    let mut page =
        bands(axis, "requests per second, by what became of them", groups, |svg, group, top| {
            let steps = steps(&group.points, axis, step);
            let rate = |count: u32| f64::from(count) / step;
            let most =
                round_up(steps.iter().map(|of_step| rate(of_step.asked)).fold(1.0, f64::max));
            let bottom = top + HEIGHT;
            for share in [0.5, 1.0] {
                line(svg, bottom - share * HEIGHT, &format!("{} /s", most * share));
            }
            for of_step in &steps {
                column(svg, axis, of_step, step, |count| rate(count) / most * HEIGHT, bottom);
            }
        });
    page.push_str("<p class=\"legend\">");
    for (class, english, chinese) in [
        ("o", "answered", "已应答"),
        ("h", "answered after more than a second", "超过一秒才应答"),
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
fn column(
    svg: &mut String,
    axis: &Axis,
    of_step: &Step,
    step: f64,
    height: impl Fn(u32) -> f64,
    bottom: f64,
) {
    let Step { held, failed, dropped, .. } = of_step;
    let (x, until) = (axis.x(of_step.from), axis.x(of_step.from + step));
    let width = (until - x - 0.5).max(0.5);
    let mut y = bottom;
    for (class, count) in [
        ("o", of_step.answered().saturating_sub(*held)),
        ("h", *held),
        ("f", failed.saturating_sub(*dropped)),
        ("d", *dropped),
    ] {
        if count == 0 {
            continue;
        }
        let height = height(count);
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
