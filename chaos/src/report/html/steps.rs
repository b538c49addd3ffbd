//! Requests by the step of time they were due in, for the panels that count.

use super::super::document::Document;
use super::super::points::{Look, Point};
use super::axis::Axis;
use super::marks::{Mark, marks};
use crate::metrics::HELD;

/// Cells that are told together: those that the fault was aimed at, and all others.
pub(super) struct Group<'a> {
    pub(super) english: String,
    pub(super) chinese: String,
    pub(super) points: Vec<&'a Point>,
    pub(super) marks: Vec<Mark>,
}

/// Returns the groups that anybody asked for, those that were hit first.
pub(super) fn groups<'a>(document: &Document, points: &'a [Point]) -> Vec<Group<'a>> {
    let is_hit = |point: &&Point| {
        document.fault.as_ref().is_some_and(|fault| fault.cells.contains_key(&point.cell))
    };
    let (hit, others): (Vec<&Point>, Vec<&Point>) = points.iter().partition(is_hit);
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
        groups.push(Group { english: told(english), chinese: told(chinese), points, marks });
    }
    groups
}

/// What became of the requests that were due in a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// When it begins, in seconds.
    pub(super) from: f64,
    pub(super) asked: u32,
    pub(super) held: u32,
    pub(super) failed: u32,
    /// Of those that failed, how many were never sent.
    pub(super) dropped: u32,
    pub(super) tries: u32,
    /// Of those that were answered well, in order.
    pub(super) latencies: Vec<f64>,
    /// The most requests that waited for an answer at the same time.
    pub(super) under_way: u32,
}

/// Returns every step of the axis, also those in which nothing was due.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds of a run that lasted minutes"
)]
pub(super) fn steps(points: &[&Point], axis: &Axis, step: f64) -> Vec<Step> {
    let index = |at: f64| ((at - axis.begin) / step).max(0.0) as usize;
    let last = index(axis.end);
    let mut steps = vec![Step::default(); last + 1];
    let mut from = axis.begin;
    for of_step in &mut steps {
        of_step.from = from;
        from += step;
    }
    let mut changes: Vec<(f64, bool)> = Vec::with_capacity(points.len() * 2);
    for point in points {
        let of_step = &mut steps[index(point.due).min(last)];
        of_step.asked += 1;
        of_step.tries += point.tries;
        of_step.dropped += u32::from(point.look == Look::Dropped);
        if point.look.is_failure() {
            of_step.failed += 1;
        } else {
            of_step.held += u32::from(point.latency > HELD.as_secs_f64());
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
        while let Some((_, begins)) = changes.next_if(|(at, _)| index(*at).min(last) <= number) {
            under_way = if begins { under_way + 1 } else { under_way.saturating_sub(1) };
            of_step.under_way = of_step.under_way.max(under_way);
        }
    }
    steps
}

impl Step {
    pub(super) fn answered(&self) -> u32 {
        self.asked.saturating_sub(self.failed)
    }

    /// Returns the smallest latency that this many of a hundred did not exceed; none where nobody was answered.
    pub(super) fn quantile(&self, percent: usize) -> Option<f64> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    /// Returns how often a request was sent; none where nothing was.
    pub(super) fn amplification(&self) -> Option<f64> {
        let sent = self.asked.saturating_sub(self.dropped);
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
        let steps = steps(&points.iter().collect::<Vec<_>>(), &axis, 1.0);
        let told: Vec<_> = steps
            .iter()
            .map(|s| (s.from, s.answered(), s.held, s.failed, s.dropped, s.under_way))
            .collect();
        let expected = [
            (5.0, 2, 1, 0, 0, 1),
            (6.0, 0, 0, 2, 1, 2),
            (7.0, 0, 0, 0, 0, 1),
            (8.0, 1, 0, 0, 0, 1),
        ];
        assert_eq!(told, expected);
        assert_eq!(steps[0].quantile(50), Some(0.1));
        assert_eq!(steps[0].quantile(99), Some(2.0));
        assert_eq!(steps[1].quantile(50), None);
        assert_eq!(steps[0].amplification(), Some(2.0));
        assert_eq!(steps[1].amplification(), Some(1.0));
        assert_eq!(steps[2].amplification(), None);
    }
}
