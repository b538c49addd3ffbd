//! The latency axis of the panels: from a millisecond to the longest anybody waits, logarithmic.

use super::bands::line;

const FROM: f64 = 0.001;
const TO: f64 = 20.0;
const TICKS: [(f64, &str); 4] = [(0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s")];

/// Returns where a latency lies in a panel of this height.
pub(super) fn y(latency: f64, top: f64, height: f64) -> f64 {
    top + height - (latency.clamp(FROM, TO) / FROM).ln() / (TO / FROM).ln() * height
}

pub(super) fn grid(svg: &mut String, top: f64, height: f64) {
    for (latency, told) in TICKS {
        line(svg, y(latency, top, height), told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_the_latency_is_always_as_far_up_and_nothing_leaves_the_panel() {
        let at = |latency| y(latency, 50.0, 100.0);
        let apart = [at(0.01) - at(0.1), at(0.1) - at(1.0), at(1.0) - at(10.0)];
        assert_eq!(apart.map(|apart| format!("{apart:.3}")), ["23.250"; 3]);
        assert_eq!((at(0.0), at(3600.0)), (150.0, 50.0));
    }
}
