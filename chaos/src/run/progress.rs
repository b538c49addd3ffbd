//! How the load does while a phase lasts: on a terminal one line that is rewritten, elsewhere a
//! plain line every ten seconds.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use crate::history::Operation;

const REWRITE: Duration = Duration::from_millis(500);
const PLAIN: Duration = Duration::from_secs(10);
/// What "now" means in a rate.
const LATELY: Duration = Duration::from_secs(1);

pub(super) struct Progress {
    phase: &'static str,
    due: Instant,
    next: Instant,
}

impl Progress {
    pub(super) fn new(run: &Run<'_>, phase: &'static str, lasting: Duration) -> Self {
        let now = Instant::now();
        Self { phase, due: now + lasting, next: now + pause(run) }
    }

    /// Says how the load does, when it is time again.
    pub(super) fn tick(&mut self, run: &Run<'_>) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + pause(run);
        let left = self.due.saturating_duration_since(now);
        let told = run.recorder.with(|record| told(&record.operations, run.clock.now()));
        let line = format!("{:<10} {} s left, {told}", self.phase, left.as_secs());
        run.terminal.progress(&line);
    }
}

/// Waits for a phase to end, and shows how the load does.
pub(super) async fn wait(run: &Run<'_>, phase: &'static str, lasting: Duration) {
    let mut progress = Progress::new(run, phase, lasting);
    let due = Instant::now() + lasting;
    while Instant::now() < due {
        sleep(REWRITE.min(due.saturating_duration_since(Instant::now()))).await;
        progress.tick(run);
    }
}

fn pause(run: &Run<'_>) -> Duration {
    if run.terminal.rewrites() { REWRITE } else { PLAIN }
}

fn told(operations: &[Operation], now: Duration) -> String {
    let from = now.saturating_sub(LATELY);
    let lately = operations.iter().rev().take_while(|operation| operation.ended >= from);
    let (mut answered, mut failed) = (0, 0);
    for operation in lately {
        answered += 1;
        failed += usize::from(!operation.is_ok());
    }
    let all = operations.iter().filter(|operation| !operation.is_ok()).count();
    format!("{answered}/s, {failed} of them failed; {all} failed in all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{ms, refused, ticket};

    #[test]
    fn the_last_second_is_told_and_what_failed_before() {
        let operations = [
            refused(0, 100, 101),
            ticket(1, 200, 900),
            ticket(2, 1500, 1510),
            refused(3, 1600, 1601),
            ticket(4, 1700, 1705),
        ];
        assert_eq!(told(&operations, ms(2000)), "3/s, 1 of them failed; 2 failed in all");
        assert_eq!(told(&operations, ms(9000)), "0/s, 0 of them failed; 2 failed in all");
    }
}
