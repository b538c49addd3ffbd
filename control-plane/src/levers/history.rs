//! How long planned moves have taken: what operations say of the last ones.

use std::collections::BTreeMap;

use runtime::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked;
use crate::api::Api;
use crate::decide::operation::{Operation, StepState, What};
use crate::store::operations::Operations;

/// What earlier operations have taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// In milliseconds, as all of it.
    took: Vec<u64>,
    held: Vec<u64>,
    /// How long elections took that people asked for.
    elected: Vec<u64>,
}

/// What a move is expected to take, by those before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// How many moves say so.
    pub moves: usize,
    /// From asking to the target serving, half of them at most.
    pub took_ms: u64,
    /// How long the cell's requests waited, half of them at most.
    pub hold_ms: Option<u64>,
    /// The longest of all.
    pub longest_hold_ms: Option<u64>,
}

/// Reads what is known.
pub async fn read(api: &Api) -> Result<History, Problem> {
    let Operations { going_on, ended, .. } = asked(|| api.store.operations()).await?;
    // One that is being put away is there twice, and counts once.
    let all: BTreeMap<_, _> =
        ended.into_iter().chain(going_on.into_iter().map(|(id, kept)| (id, kept.value))).collect();
    Ok(History::of(all.values()))
}

impl History {
    /// Returns what these operations say, each of which is there once.
    pub fn of<'a>(operations: impl Iterator<Item = &'a Operation>) -> Self {
        let mut history = Self::default();
        for operation in operations {
            history.add(operation);
        }
        history
    }

    /// Adds the moves of an operation.
    pub fn add(&mut self, operation: &Operation) {
        for step in operation.steps() {
            if let StepState::Done { took_ms, hold_ms: Some(hold_ms), .. } = step.state {
                self.took.push(took_ms);
                self.held.push(hold_ms);
            }
            if let (What::Elect(_), StepState::Done { took_ms, .. }) = (&step.what, &step.state) {
                self.elected.push(*took_ms);
            }
        }
    }

    /// Returns what the next move is expected to take; nothing before the first.
    #[must_use]
    pub fn expected(&self) -> Option<Expected> {
        Some(Expected {
            moves: self.took.len(),
            took_ms: median(&self.took)?,
            hold_ms: median(&self.held),
            longest_hold_ms: self.held.iter().max().copied(),
        })
    }

    /// Returns the same of an election that somebody asks for. How long users have waited by then depends on
    /// when the site was lost.
    #[must_use]
    pub fn expected_election(&self) -> Option<Expected> {
        Some(Expected {
            moves: self.elected.len(),
            took_ms: median(&self.elected)?,
            hold_ms: None,
            longest_hold_ms: None,
        })
    }
}

fn median(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
