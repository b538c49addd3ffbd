//! How often the streams that users hold were interrupted, and for how long. That is no failed request: a
//! stream that comes back and tells everything has done what it is for.

use std::time::Duration;

use super::{Measure, Measured, Value};
use crate::check::unheard;
use crate::course::Course;
use crate::history::{Step, StreamStep, of_users};

/// Returns the numbers of the streams; nothing where there was none.
pub(super) fn measures(course: &Course) -> Vec<(Measure, Measured)> {
    let streams = of_users(&course.streams);
    if streams.is_empty() {
        return Vec::new();
    }
    let opened = |steps: &Vec<&StreamStep>| steps.iter().filter(|step| step.is_opened()).count();
    let reopened: usize = streams.values().map(|steps| opened(steps).saturating_sub(1)).sum();
    let pauses = streams.values().map(|steps| longest_pause(steps));
    // One that was never open at all had no end.
    let longest = pauses.max().flatten();
    let covered = unheard(course).map_or(Measured::Unseen, count);
    vec![
        (Measure::StreamsReopened, count(reopened)),
        (Measure::LongestStreamPause, Measured::from(longest)),
        (Measure::UnheardAfterLoss, covered),
    ]
}

fn count(of: usize) -> Measured {
    Measured::Got(Value::Count(of as u64))
}

/// Returns the longest time in which a stream that had been open was not, up to what is last known of it;
/// `None` where it never was.
fn longest_pause(steps: &[&StreamStep]) -> Option<Duration> {
    let mut longest = None;
    // Since when a stream that had been open has not been.
    let mut ended: Option<Duration> = None;
    let mut is_open = false;
    for StreamStep { at, step, .. } in steps {
        let pause = ended.map(|ended| at.saturating_sub(ended));
        match step {
            Step::Opened(_) => {
                longest = longest.max(pause.or(Some(Duration::ZERO)));
                (is_open, ended) = (true, None);
            }
            Step::Ended(_) if is_open => (is_open, ended) = (false, Some(*at)),
            Step::Ended(_) => longest = longest.max(pause),
            Step::Asked { .. } | Step::Heard { .. } => {}
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::End;
    use crate::history::fixture::{connection, ended, ms, opened, users};

    fn course(connections: Vec<Vec<(u64, Step)>>) -> Course {
        let numbered = (1..).zip(connections);
        let streams = numbered.flat_map(|(number, steps)| connection(number, steps)).collect();
        Course { users: users(), streams, ..Course::default() }
    }

    #[track_caller]
    fn check(connections: Vec<Vec<(u64, Step)>>, reopened: usize, longest: Measured) {
        let expected = [
            (Measure::StreamsReopened, count(reopened)),
            (Measure::LongestStreamPause, longest),
            (Measure::UnheardAfterLoss, Measured::Unseen),
        ];
        assert_eq!(measures(&course(connections)), expected);
    }

    fn time(millis: u64) -> Measured {
        Measured::Got(Value::Time(ms(millis)))
    }

    fn whole(from: u64, until: u64, end: End) -> Vec<(u64, Step)> {
        vec![(from, opened(1)), (until, ended(end))]
    }

    #[test]
    fn where_no_stream_was_held_nothing_is_told_of_any() {
        assert!(measures(&course(Vec::new())).is_empty());
    }

    #[test]
    fn a_stream_that_stays_open_has_no_pause() {
        check(vec![whole(10, 9000, End::Stopped)], 0, time(0));
    }

    #[test]
    fn a_pause_lasts_until_it_is_open_again_whatever_was_tried_meanwhile() {
        let in_vain = vec![(1100, Step::Asked { after: None }), (1200, ended(End::Closed))];
        let connections = vec![
            whole(10, 1000, End::Moved),
            in_vain,
            whole(1700, 3000, End::Closed),
            whole(3100, 9000, End::Stopped),
        ];
        check(connections, 2, time(700));
    }

    #[test]
    fn a_stream_that_is_not_opened_again_has_one_until_nobody_tries_any_more() {
        let in_vain = vec![(1100, Step::Asked { after: None }), (9000, ended(End::Stopped))];
        check(vec![whole(10, 1000, End::Moved), in_vain], 0, time(8000));
    }

    #[test]
    fn one_that_was_never_open_has_none() {
        check(vec![vec![(10, Step::Asked { after: None })]], 0, Measured::Never);
    }
}
