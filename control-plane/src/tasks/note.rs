//! What was decided without anybody asking, in the audit log: with all that it rested on, and what came
//! of it. Nothing waits for these writes, and a move is made though they fail.

use std::collections::BTreeMap;

use runtime::clock;
use serde_json::json;
use topology::wire::audit::{self, AuditRecord, Evidence};
use tracing::warn;

use super::elect::Outcome;
use crate::api::audit::next_id;
use crate::decide::Action;
use crate::evidence::CellEvidence;
use crate::store::etcd::Store;

/// Who decides what nobody asks for.
const WHO: &str = "control plane";

/// An entry of the audit log.
#[derive(Clone)]
pub struct Entry {
    id: String,
    record: AuditRecord,
}

impl Entry {
    /// Begins the entry of a decision about a cell.
    #[must_use]
    pub fn new(action: &Action, evidence: &CellEvidence, seen: Evidence) -> Self {
        let record = AuditRecord {
            at_unix_ms: evidence.at_unix_ms,
            who: WHO.to_owned(),
            vantage: evidence.vantage.clone(),
            what: action.kind().to_owned(),
            cell: Some(evidence.cell.clone()),
            region: None,
            operation: None,
            idempotency_key: None,
            body: serde_json::to_value(evidence).expect("evidence is plain JSON"),
            reason: Some(action.to_string()),
            evidence: Some(seen),
            outcome: None,
        };
        Self { id: next_id(&evidence.vantage), record }
    }

    /// Completes it.
    #[must_use]
    pub fn with(mut self, outcome: &Outcome) -> Self {
        let (status, body) = match outcome {
            Outcome::Won { winner, epoch } => {
                (200, json!({"active": winner.to_string(), "epoch": epoch.0}))
            }
            Outcome::Overtaken => (409, json!({"detail": "somebody else changed the cell first"})),
            Outcome::Unwilling { why } => (409, json!({"detail": why})),
        };
        let at_unix_ms = clock::unix_millis();
        self.record.outcome =
            Some(audit::Outcome { at_unix_ms, status, body, headers: BTreeMap::new() });
        self
    }

    /// Writes it, over what was there of it, and forgets what the log then has beyond its bound.
    pub async fn write(self, store: Store) {
        if let Err(err) = store.write_audit(&self.id, &self.record).await {
            warn!(audit = self.id, error = %err, "decision not in the audit log");
        } else if let Err(err) = store.shorten_audit().await {
            warn!(error = %err, "audit log not shortened");
        }
    }
}
