//! How long the middle and the slowest of the answered requests took, over time.

use super::axis::Axis;
use super::bands::{HEIGHT, bands, curve, line};
use super::steps::{Group, Step};
use super::{both, push};

/// The latency axis: from a millisecond to the longest anybody waits, logarithmic.
const FROM: f64 = 0.001;
const TO: f64 = 20.0;

pub(super) fn chart(groups: &[Group], axis: &Axis) -> String {
    let label = "latency of answered requests over time: p50, p99, longest";
    let mut page = bands(axis, label, groups, |svg, group, top| {
        let y = |latency: f64| {
            top + HEIGHT - (latency.clamp(FROM, TO) / FROM).ln() / (TO / FROM).ln() * HEIGHT
        };
        for (latency, told) in [(0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s")] {
            line(svg, y(latency), told);
        }
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
