//! The one time axis that the panels share, with the fault shaded and the stages marked.

use super::super::columns::Columns;
use super::super::document::Document;
use super::super::points::Point;
use super::push;

pub(super) const WIDTH: f64 = 960.0;
pub(super) const LEFT: f64 = 64.0;
pub(super) const RIGHT: f64 = 12.0;

pub(super) struct Axis {
    pub(super) columns: Columns,
    /// Where the column begins in which the first request was due: a run may have waited for long before.
    pub(super) begin: f64,
    /// The last answer, in seconds.
    pub(super) end: f64,
    pub(super) fault: Option<(f64, f64)>,
}

impl Axis {
    pub(super) fn new(document: &Document, points: &[Point]) -> Self {
        let columns = document.availability.columns();
        let first = points.iter().map(|point| point.due).reduce(f64::min);
        let begin = first.map_or(0.0, |first| columns.begin(columns.of(first)));
        let last = points.iter().map(|point| point.due + point.latency).fold(begin + 1.0, f64::max);
        let fault =
            document.fault.as_ref().map(|fault| (fault.at, fault.healed_at.unwrap_or(last)));
        Self { columns, begin, end: last, fault }
    }

    pub(super) fn x(&self, at: f64) -> f64 {
        let share = (at - self.begin) / (self.end - self.begin);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Opens a picture of the given height.
    pub(super) fn open(svg: &mut String, height: f64, label: &str) {
        push(
            svg,
            &format!(
                "<div class=\"scroll\">\n<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{label}\">"
            ),
        );
    }

    pub(super) fn close(svg: &mut String) {
        push(svg, "</svg>\n</div>");
    }

    /// Shades the time of the fault.
    pub(super) fn shade(&self, svg: &mut String, top: f64, height: f64) {
        let Some((from, until)) = self.fault else { return };
        let (x, width) = (self.x(from), (self.x(until) - self.x(from)).max(1.0));
        push(
            svg,
            &format!(
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 class=\"fault\"/>"
            ),
        );
    }

    pub(super) fn frame(svg: &mut String, top: f64, height: f64) {
        let width = WIDTH - LEFT - RIGHT;
        push(
            svg,
            &format!(
                "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\" \
                 class=\"frame\"/>"
            ),
        );
    }

    /// Names the seconds below `bottom`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "seconds of a run that lasted minutes"
    )]
    pub(super) fn seconds(&self, svg: &mut String, bottom: f64) {
        const STEPS: [usize; 7] = [1, 2, 5, 10, 30, 60, 300];
        let fits = |step: &&usize| (self.end - self.begin) / (**step as f64) <= 20.0;
        let step = STEPS.iter().find(fits).copied().unwrap_or(600);
        let first = (self.begin as usize).next_multiple_of(step);
        for second in (first..=self.end as usize).step_by(step) {
            let x = self.x(second as f64);
            let y = bottom + 16.0;
            push(
                svg,
                &format!(
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"tick\" text-anchor=\"middle\">\
                     {second} s</text>"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::points::Look;
    use crate::report::tests::example;

    #[test]
    fn the_axis_begins_with_the_column_of_the_map_in_which_the_first_request_was_due() {
        let mut document = example();
        document.availability.step = 4.0;
        let point = |due| Point {
            cell: "c1".to_owned(),
            due,
            latency: 0.5,
            tries: 1,
            look: Look::Read,
            told: None,
        };
        let axis = Axis::new(&document, &[point(9.2), point(6.3)]);
        assert_eq!((axis.begin, axis.end), (4.0, 9.7));
        let of_nothing = Axis::new(&document, &[]);
        assert_eq!((of_nothing.begin, of_nothing.end), (0.0, 1.0));
    }
}
