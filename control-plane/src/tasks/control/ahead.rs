//! Asks voters shortly before a take-over is due whether they would elect a successor then: where they are
//! far away, their answer would have to be waited for while users do.
//!
//! An answer is for one epoch and good for a moment. Without one the take-over asks by itself.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use topology::{CellId, Epoch, Phase};

use super::{Control, Work};
use crate::decide::failover::silent_since;
use crate::decide::state::SeenCell;
use crate::decide::{Action, decide};
use crate::tasks::elect::voters_would;

/// How many of the longest ways there and back voters are asked before: one for the answer, one for
/// whatever holds it up.
const WAYS: u32 = 2;

/// What was asked ahead of time.
#[derive(Default)]
pub(super) struct Ahead {
    asking: FuturesUnordered<Work<Answer>>,
    /// The last question about each cell.
    asked: BTreeMap<CellId, Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    epoch: Epoch,
    is_willing: bool,
    /// Until when the answer counts, and nobody is asked again.
    until: Instant,
}

/// What the voters of a cell said to the question about this epoch.
pub(super) struct Answer {
    cell: CellId,
    epoch: Epoch,
    is_willing: bool,
}

impl Ahead {
    /// Waits for the next answer; for ever where nobody is being asked.
    pub(super) async fn answered(&mut self) -> Option<Answer> {
        if self.asking.is_empty() {
            return pending().await;
        }
        self.asking.next().await
    }

    pub(super) fn took(&mut self, answer: &Answer) {
        if let Some(asked) = self.asked.get_mut(&answer.cell).filter(|it| it.epoch == answer.epoch)
        {
            asked.is_willing = answer.is_willing;
        }
    }

    /// Returns whether the voters have said that they would elect somebody else about now.
    pub(super) fn is_willing(&self, cell: &CellId, epoch: Epoch, now: Instant) -> bool {
        let said = self.asked.get(cell).filter(|asked| asked.epoch == epoch && now < asked.until);
        said.is_some_and(|asked| asked.is_willing)
    }
}

impl Control {
    /// Asks about the cells that will have to be taken over if nothing changes.
    pub(super) fn ask_ahead(&mut self, now: Instant) {
        let ahead = self.hands.spec.round_trip * WAYS;
        let then = now + ahead;
        let patience = self.hands.policy.lease.patience;
        let is_silent = |seen: &SeenCell| then >= silent_since(seen) + patience;
        if ahead.is_zero() || !self.state.cells().values().any(is_silent) {
            return;
        }
        for action in decide(&self.state, &self.hands.policy, then) {
            let Action::TakeOver { cell, epoch, .. } = action else { continue };
            let asked = self.ahead.asked.get(&cell);
            let is_asked = asked.is_some_and(|asked| asked.epoch == epoch && now < asked.until);
            if is_asked || self.is_busy(&cell) {
                continue;
            }
            let Some(seen) = self.state.cells().get(&cell).cloned() else { continue };
            if matches!(seen.routed.activation.phase, Phase::Switching { .. }) {
                continue;
            }
            self.ask_about(cell, seen, (now, ahead));
        }
    }

    fn ask_about(&mut self, cell: CellId, seen: SeenCell, (now, ahead): (Instant, Duration)) {
        let epoch = seen.routed.activation.epoch;
        let asked = Asked { epoch, is_willing: false, until: now + ahead * 2 };
        self.ahead.asked.insert(cell.clone(), asked);
        let hands = self.hands.clone();
        self.ahead.asking.push(Box::pin(async move {
            let is_willing = voters_would(&hands, &cell, &seen, ahead).await.is_ok();
            Answer { cell, epoch, is_willing }
        }));
    }
}
