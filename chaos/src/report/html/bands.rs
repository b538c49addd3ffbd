//! A band per group of cells, for the panels that count.

use super::axis::{Axis, LEFT, RIGHT, WIDTH};
use super::marks::{self, room};
use super::steps::Group;
use super::{both_svg, push};

pub(super) const HEIGHT: f64 = 90.0;
const NAME: f64 = 22.0;

/// Draws a panel; `inside` draws what is in a band, from its upper edge on.
pub(super) fn bands(
    axis: &Axis,
    label: &str,
    groups: &[Group],
    inside: impl Fn(&mut String, &Group, f64),
) -> String {
    let height: f64 = groups.iter().map(|group| NAME + room(&group.marks) + HEIGHT).sum();
    let mut svg = String::new();
    Axis::open(&mut svg, height + 24.0, label);
    let mut top = 0.0;
    for group in groups {
        let (y, name) = (top + NAME - 8.0, both_svg(&group.english, &group.chinese));
        push(&mut svg, &format!("<text x=\"{LEFT}\" y=\"{y:.1}\" class=\"cell\">{name}</text>"));
        top += NAME + room(&group.marks);
        axis.shade(&mut svg, top, HEIGHT);
        inside(&mut svg, group, top);
        Axis::frame(&mut svg, top, HEIGHT);
        marks::draw(&mut svg, axis, &group.marks, top, HEIGHT);
        top += HEIGHT;
    }
    axis.seconds(&mut svg, top);
    Axis::close(&mut svg);
    svg
}

/// A line across a band, with what it stands for beside it.
pub(super) fn line(svg: &mut String, y: f64, told: &str) {
    let (left, right, below) = (LEFT - 6.0, WIDTH - RIGHT, y + 3.0);
    push(
        svg,
        &format!(
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"grid\"/>\
             <text x=\"{left}\" y=\"{below:.1}\" class=\"tick\" text-anchor=\"end\">{told}</text>"
        ),
    );
}

/// A curve through what is known of each step; where nothing is, it is interrupted.
pub(super) fn curve(
    svg: &mut String,
    class: &str,
    points: impl Iterator<Item = Option<(f64, f64)>>,
) {
    let mut path = String::new();
    let mut goes_on = false;
    for point in points {
        if let Some((x, y)) = point {
            // A line of no length, with round ends, shows what has no neighbours.
            let to = if goes_on { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0") };
            path.push_str(&to);
        }
        goes_on = point.is_some();
    }
    push(svg, &format!("<path d=\"{path}\" class=\"curve {class}\"/>"));
}

/// Returns a round number that is not below, for the upper edge of an axis.
pub(super) fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(1.0).log10().floor());
    let fits = |of: &f64| of * decade >= value;
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * decade
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        let ends = [0.0, 1.0, 1.1, 3.0, 7.0, 10.0, 48.0].map(|value| round_up(value).to_string());
        assert_eq!(ends, ["1", "1", "2", "5", "10", "10", "50"]);
    }

    #[test]
    fn a_curve_is_interrupted_where_nothing_is_known() {
        let mut svg = String::new();
        curve(
            &mut svg,
            "p50",
            [Some((1.0, 2.0)), Some((2.0, 2.0)), None, Some((4.0, 2.0))].into_iter(),
        );
        assert!(svg.contains("d=\"M1.0 2.0h0L2.0 2.0M4.0 2.0h0\""), "{svg}");
    }
}
