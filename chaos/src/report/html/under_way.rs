//! How many requests waited at the same time, and how often each was sent.

use super::axis::Axis;
use super::bands::{HEIGHT, bands, curve, line, round_up};
use super::steps::{Group, Step};
use super::{both, push};

pub(super) fn chart(groups: &[Group], axis: &Axis) -> String {
    let label = "requests under way, and how often each was sent, over time";
    let mut page = bands(axis, label, groups, |svg, group, top| {
        let steps = &group.steps;
        let count = |of_step: &Step| f64::from(of_step.under_way);
        let times = |of_step: &Step| of_step.amplification().unwrap_or(0.0);
        let most = round_up(steps.iter().map(count).fold(1.0, f64::max));
        let often = round_up(steps.iter().map(times).fold(2.0, f64::max));
        let bottom = top + HEIGHT;
        for share in [0.5, 1.0] {
            let told = format!("{} · {}×", most * share, often * share);
            line(svg, bottom - share * HEIGHT, &told);
        }
        let middle = |of_step: &Step| axis.x(of_step.middle());
        let sent = steps.iter().map(|of_step| {
            let times = of_step.amplification()?;
            Some((middle(of_step), bottom - times / often * HEIGHT))
        });
        curve(svg, "tries", sent);
        let waiting = steps
            .iter()
            .map(|of_step| Some((middle(of_step), bottom - count(of_step) / most * HEIGHT)));
        curve(svg, "under-way", waiting);
    });
    page.push_str("<p class=\"legend\">");
    for (class, english, chinese) in [
        ("under-way", "under way: the most at the same time", "在途请求:同时最多"),
        ("tries", "times each was sent", "每个请求的发送次数"),
    ] {
        push(&mut page, &format!("<span class=\"{class}\">━ {}</span>", both(english, chinese)));
    }
    let told = both(
        "Under way from when a request was due to its answer; sent by when it was due.",
        "在途自应发时刻至应答;发送次数按应发时刻统计。",
    );
    push(&mut page, &format!("{told}</p>"));
    page
}
