//! Requests by the step of time they were due in, for the panels that count.

use super::super::document::Document;
use super::super::points::{Look, Point};
use super::axis::Axis;
use super::marks::{Mark, marks};
use crate::metrics::HELD;

/// Cells that are told together: those that the fault was aimed at, and all others.
pub(super) struct Group {
    pub(super) english: String,
    pub(super) chinese: String,
    pub(super) steps: Vec<Step>,
    pub(super) marks: Vec<Mark>,
}

/// Returns the groups that anybody asked for, those that were hit first.
pub(super) fn groups(document: &Document, points: &[Point], axis: &Axis) -> Vec<Group> {
    let (hit, others): (Vec<&Point>, Vec<&Point>) =
        points.iter().partition(|point| document.was_hit(&point.cell));
    let mut groups = Vec::new();
    for (points, [english, chinese]) in
        [(hit, ["the fault was aimed at it", "故障目标"]), (others, ["not touched", "未受故障"])]
    {
        let mut cells: Vec<&str> = points.iter().map(|point| point.cell.as_str()).collect();
        cells.sort_unstable();
        cells.dedup();
        if cells.is_empty() {
            continue;
        }
        let (names, marks) = (cells.join(", "), marks(document, &cells));
        let is_alone = document.fault.is_none();
        let told = |what| if is_alone { names.clone() } else { format!("{names} — {what}") };
        let (english, chinese, steps) = (told(english), told(chinese), steps(&points, axis));
        groups.push(Group { english, chinese, steps, marks });
    }
    groups
}

/// What became of the requests that were due in a step, a column of the map. Each is counted once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// When it begins and ends, in seconds.
    pub(super) from: f64,
    pub(super) until: f64,
    /// Answered, and not [`Step::held`].
    pub(super) prompt: u32,
    /// Answered, after more than [`HELD`].
    pub(super) held: u32,
    /// Sent, and failed or of unknown outcome.
    pub(super) failed: u32,
    /// Never sent.
    pub(super) dropped: u32,
    pub(super) tries: u32,
    /// Of those that were answered well, in order.
    pub(super) latencies: Vec<f64>,
    /// The most requests that waited for an answer at the same time.
    pub(super) under_way: u32,
}

/// Returns every step of the axis, also those in which nothing was due.
pub(super) fn steps(points: &[&Point], axis: &Axis) -> Vec<Step> {
    let columns = axis.columns;
    let (first, last) = (columns.of(axis.begin), columns.of(axis.end));
    let empty = |column| Step {
        from: columns.begin(column),
        until: columns.begin(column + 1),
        ..Step::default()
    };
    let mut steps: Vec<Step> = (first..=last).map(empty).collect();
    let index = |at: f64| columns.of(at).clamp(first, last) - first;
    let mut changes: Vec<(f64, bool)> = Vec::with_capacity(points.len() * 2);
    for point in points {
        let of_step = &mut steps[index(point.due)];
        of_step.tries += point.tries;
        let is_held = point.latency > HELD.as_secs_f64();
        let became = match point.look {
            Look::Ticket | Look::Message | Look::Read if is_held => &mut of_step.held,
            Look::Ticket | Look::Message | Look::Read => &mut of_step.prompt,
            Look::Failed | Look::Unknown => &mut of_step.failed,
            Look::Dropped => &mut of_step.dropped,
        };
        *became += 1;
        if !point.look.is_failure() {
            of_step.latencies.push(point.latency);
        }
        if point.latency > 0.0 && point.look != Look::Dropped {
            changes.extend([(point.due, true), (point.due + point.latency, false)]);
        }
    }
    // Of two at the same moment the end comes first.
    changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let mut changes = changes.into_iter().peekable();
    let mut under_way = 0;
    for (number, of_step) in steps.iter_mut().enumerate() {
        of_step.latencies.sort_by(f64::total_cmp);
        of_step.under_way = under_way;
        while let Some((_, begins)) = changes.next_if(|(at, _)| index(*at) <= number) {
            under_way = if begins { under_way + 1 } else { under_way.saturating_sub(1) };
            of_step.under_way = of_step.under_way.max(under_way);
        }
    }
    steps
}

impl Step {
    pub(super) fn middle(&self) -> f64 {
        self.from.midpoint(self.until)
    }

    pub(super) fn asked(&self) -> u32 {
        self.sent() + self.dropped
    }

    fn sent(&self) -> u32 {
        self.prompt + self.held + self.failed
    }

    /// Returns how many that is per second of the step.
    pub(super) fn per_second(&self, count: u32) -> f64 {
        f64::from(count) / (self.until - self.from)
    }

    /// Returns the smallest latency that this many of a hundred did not exceed; none where nobody was answered.
    pub(super) fn quantile(&self, percent: usize) -> Option<f64> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    /// Returns how often a request was sent; none where nothing was.
    pub(super) fn amplification(&self) -> Option<f64> {
        let sent = self.sent();
        (sent > 0).then(|| f64::from(self.tries) / f64::from(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(due: f64, latency: f64, tries: u32, look: Look) -> Point {
        Point { cell: "c1".to_owned(), due, latency, tries, look, told: None }
    }

    #[test]
    fn each_request_counts_in_the_step_it_was_due_in_and_is_under_way_until_it_is_answered() {
        let points = [
            point(5.2, 0.1, 1, Look::Ticket),
            point(5.5, 2.0, 3, Look::Read),
            point(6.1, 0.2, 1, Look::Failed),
            point(6.4, 0.0, 0, Look::Dropped),
            point(8.0, 0.3, 1, Look::Message),
        ];
        let axis =
            Axis { begin: 5.0, end: 8.3, ..Axis::new(&crate::report::tests::example(), &[]) };
        let steps = steps(&points.iter().collect::<Vec<_>>(), &axis);
        let told: Vec<_> = steps
            .iter()
            .map(|s| (s.from, [s.asked(), s.prompt, s.held, s.failed, s.dropped], s.under_way))
            .collect();
        let expected = [
            (5.0, [2, 1, 1, 0, 0], 1),
            (6.0, [2, 0, 0, 1, 1], 2),
            (7.0, [0, 0, 0, 0, 0], 1),
            (8.0, [1, 1, 0, 0, 0], 1),
        ];
        assert_eq!(told, expected);
        assert_eq!(steps[0].quantile(50), Some(0.1));
        assert_eq!(steps[0].quantile(99), Some(2.0));
        assert_eq!(steps[1].quantile(50), None);
        assert_eq!(steps[0].amplification(), Some(2.0));
        assert_eq!(steps[1].amplification(), Some(1.0));
        assert_eq!(steps[2].amplification(), None);
    }

    #[test]
    fn a_step_is_a_column_of_the_map() {
        let mut document = crate::report::tests::example();
        document.availability.step = 4.0;
        let points = [point(6.3, 0.1, 1, Look::Read), point(8.0, 3.0, 2, Look::Read)];
        let axis = Axis::new(&document, &points);
        let steps = steps(&points.iter().collect::<Vec<_>>(), &axis);
        let told: Vec<_> =
            steps.iter().map(|s| (s.from, s.middle(), s.until, s.per_second(s.asked()))).collect();
        assert_eq!(told, [(4.0, 6.0, 8.0, 0.25), (8.0, 10.0, 12.0, 0.25)]);
    }
}
