//! Looks on while the fault is on, tells what happens as it happens, and ends the drill early when
//! it hits those it must not hit.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use super::live::Live;
use super::progress::Progress;
use crate::drill::StopCondition;
use crate::fault::Injection;
use crate::history::{Operation, User};

const LOOK: Duration = Duration::from_millis(100);

/// Returns why the drill was ended early, if it was.
pub(super) async fn observe(
    run: &Run<'_>,
    live: &mut Live,
    injection: &Injection,
    users: &[User],
    lasting: Duration,
) -> Option<String> {
    let due = Instant::now() + lasting;
    let mut progress = Progress::new(run, "observe", lasting);
    while Instant::now() < due {
        sleep(LOOK).await;
        progress.tick(run);
        let now = run.clock.now();
        let (lines, stop) = run.recorder.with(|record| {
            let lines = live.lines(injection, users, &record.operations, &record.events);
            let mut conditions = run.drill.stop_conditions.iter();
            let is_met = |condition: &&StopCondition| {
                is_met(condition, injection, users, &record.operations, now)
            };
            (lines, conditions.find(is_met).cloned())
        });
        for line in lines {
            run.terminal.line(&line);
        }
        if let Some(condition) = stop {
            return Some(format!("stopped: {condition}"));
        }
    }
    None
}

/// Returns whether too many of the requests to other cells failed lately.
fn is_met(
    condition: &StopCondition,
    injection: &Injection,
    users: &[User],
    operations: &[Operation],
    now: Duration,
) -> bool {
    let from = now.saturating_sub(condition.over);
    if from < injection.begun {
        return false;
    }
    let (mut asked, mut failed) = (0u32, 0u32);
    let others = operations
        .iter()
        .rev()
        .take_while(|op| op.ended >= from)
        .filter(|op| !injection.cells.contains_key(&users[op.user].cell));
    for operation in others {
        asked += 1;
        failed += u32::from(!operation.is_ok());
    }
    condition.is_met(asked, failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{ms, refused, ticket, users};

    #[track_caller]
    fn check(user: usize, expected: bool) {
        let condition = StopCondition { above: 0.5, over: ms(3000) };
        let injection =
            Injection { cells: [("c1".parse().unwrap(), None)].into(), ..Injection::default() };
        let operations: Vec<Operation> = (0..20u32)
            .map(|number| {
                let at = 3000 + u64::from(number) * 100;
                let operation =
                    if number % 4 == 0 { ticket(number, at, at) } else { refused(number, at, at) };
                Operation { user, ..operation }
            })
            .collect();
        assert_eq!(is_met(&condition, &injection, &users(), &operations, ms(5000)), expected);
    }

    #[test]
    fn other_cells_that_fail_stop_the_drill() {
        check(1, true);
    }

    #[test]
    fn the_cell_it_is_aimed_at_may_fail() {
        check(0, false);
    }
}
