//! How long the middle and the slowest of the answered requests took, over time.

use super::axis::Axis;
use super::bands::{HEIGHT, bands, curve};
use super::latency;
use super::steps::{Group, Step};
use super::{both, push};

pub(super) fn chart(groups: &[Group], axis: &Axis) -> String {
    let label = "latency of answered requests over time: p50, p99, longest";
    let mut page = bands(axis, label, groups, |svg, group, top| {
        latency::grid(svg, top, HEIGHT);
        let y = |latency| latency::y(latency, top, HEIGHT);
        for (class, percent) in [("max", 100), ("p99", 99), ("p50", 50)] {
            let told = |of_step: &Step| {
                of_step.quantile(percent).map(|latency| (axis.x(of_step.middle()), y(latency)))
            };
            curve(svg, class, group.steps.iter().map(told));
        }
    });
    page.push_str("<p class=\"legend\">");
    for (class, text) in
        [("p50", "p50".to_owned()), ("p99", "p99".to_owned()), ("max", both("longest", "最长"))]
    {
        push(&mut page, &format!("<span class=\"{class}\">━ {text}</span>"));
    }
    let told = both(
        "Of the answered requests, by when they were due, logarithmic.",
        "仅含已应答请求,按应发时刻统计,对数坐标。",
    );
    push(&mut page, &format!("{told}</p>"));
    page
}
