//! The last decisions of this process with what they rested on, for whoever asks afterwards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use topology::CellId;

use crate::evidence::CellEvidence;

/// Some kilobytes each; a bad night has a few dozen.
const KEPT: usize = 100;

/// Cheap to clone; all clones are one log.
#[derive(Clone, Default)]
pub struct DecisionLog(Arc<Mutex<VecDeque<Decision>>>);

/// Something that was decided.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Decision {
    pub at_unix_ms: u64,
    pub action: &'static str,
    /// The same in words.
    pub what: String,
    pub evidence: CellEvidence,
}

impl DecisionLog {
    pub fn write(&self, decision: Decision) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(decision);
    }

    /// Returns the decisions about a cell, the last one first.
    #[must_use]
    pub fn about(&self, cell: &CellId) -> Vec<Decision> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let about = kept.iter().rev().filter(|decision| decision.evidence.cell == cell.as_str());
        about.cloned().collect()
    }
}
