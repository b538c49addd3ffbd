//! What the loop says of what it sees and decides: to the events, the audit log, the metrics and the
//! log. Nothing is decided here.

use std::time::Duration;

use tokio::time::Instant;
use topology::wire::evidence::EvidenceRecord;
use topology::{CellId, Epoch, Phase, RegionId};
use tracing::{error, info, warn};

use super::Control;
use crate::api::audit;
use crate::decide::happenings::{Happening, Sight};
use crate::decide::situation::{Memory, Situation};
use crate::decide::verdict::matrix::Matrix;
use crate::decide::verdict::{self, Judgement, World};
use crate::decide::{Action, Fact};
use crate::decision_log::Decision;
use crate::evidence::{self, CellEvidence};
use crate::metrics::{self, Step};
use crate::tasks::elect::Outcome;
use crate::tasks::hands::Hands;
use crate::tasks::note::Entry as Audited;

/// How often it is looked which verdicts have changed: for people, who do not see less.
const JUDGE: Duration = Duration::from_millis(200);

impl Control {
    /// Compares what is to be seen with what was, and tells the difference.
    pub(super) fn look(&mut self, now: Instant) {
        if self.state.read_at().is_none() {
            return;
        }
        let sight = Sight::of(&self.state, &self.hands.policy, now);
        // What is there at the first reading is no news.
        let news = self.sight.as_ref().map(|before| sight.since(before)).unwrap_or_default();
        for happening in &news {
            self.write(happening);
        }
        self.sight = Some(sight);
    }

    /// Tells what has become another verdict.
    pub(super) fn judge(&mut self, now: Instant) {
        if self.judged.is_some_and(|judged| now - judged < JUDGE) {
            return;
        }
        self.judged = Some(now);
        let Self { state, hands, .. } = &*self;
        let policy = &*hands.policy;
        let (matrix, world) = (Matrix::new(state, policy, now), World { state, policy, now });
        metrics::observed(matrix.fresh().count(), matrix.blind().contains_key(&policy.vantage));
        let mut judged: Vec<(CellId, Epoch, Judgement)> = Vec::new();
        let mut changed: Vec<(CellId, Situation)> = Vec::new();
        for (cell, seen) in state.cells() {
            let judgement = verdict::judge(cell, seen, &matrix, world);
            let situation = Situation::of(cell, seen, &judgement, &matrix, world);
            if self.situations.get(cell).unwrap_or(&Situation::default()) != &situation {
                changed.push((cell.clone(), situation));
            }
            if self.verdicts.get(cell) != Some(&judgement.verdict) {
                judged.push((cell.clone(), seen.routed.activation.epoch, judgement));
            }
        }
        for (cell, situation) in changed {
            self.became(cell, situation, now);
        }
        for (cell, epoch, judgement) in judged {
            metrics::judged(&cell, judgement.verdict);
            let before = self.verdicts.insert(cell.clone(), judgement.verdict);
            if let Some(happening) = judgement.happening(cell, epoch, before) {
                self.write(&happening);
            }
        }
    }

    /// Remembers what has changed about a cell, with all that is known of it now.
    fn became(&mut self, cell: CellId, situation: Situation, now: Instant) {
        let before = self.situations.get(&cell).cloned().unwrap_or_default();
        for Memory { what, reason } in situation.since(&before) {
            let Some(seen) = self.state.cells().get(&cell) else { continue };
            let evidence = evidence::of_cell(&cell, seen, &self.state, &self.hands.policy, now);
            self.remember(&cell, what, reason, &evidence);
        }
        if situation == Situation::default() {
            self.situations.remove(&cell);
        } else {
            self.situations.insert(cell, situation);
        }
    }

    /// Has it written down, if there is room: nobody waits for that.
    fn remember(&self, cell: &CellId, what: &str, reason: String, evidence: &CellEvidence) {
        let record = EvidenceRecord {
            at_unix_ms: evidence.at_unix_ms,
            vantage: evidence.vantage.clone(),
            what: what.to_owned(),
            reason,
            seen: serde_json::to_value(evidence).expect("evidence is plain JSON"),
        };
        if self.memories.try_send((cell.clone(), record)).is_err() {
            warn!(%cell, what, "evidence not kept");
        }
    }

    /// Measures how long sites that were promoted here took to open their epoch.
    pub(super) fn opened(&mut self, now: Instant) {
        let cells = self.state.cells();
        self.promoted.retain(|cell, (region, epoch, at)| {
            let Some(seen) = cells.get(cell) else { return false };
            let activation = &seen.routed.activation;
            let steady = activation.phase == Phase::Steady { active: region.clone() };
            if activation.epoch == *epoch && steady {
                metrics::took(Step::Converge, now - *at);
            }
            // What was written last may not have been seen yet.
            activation.epoch < *epoch || (activation.epoch == *epoch && !steady)
        });
    }

    /// Says what was decided, once per cell and epoch.
    pub(super) fn tell(&mut self, action: &Action, about: Option<(&CellId, Epoch)>, now: Instant) {
        if let Some((cell, epoch)) = about {
            let before = self.told.insert(cell.clone(), (epoch, action.kind()));
            if before == Some((epoch, action.kind())) {
                return;
            }
            self.note(action, cell, now);
            if let Action::Freeze { reason, .. } = action {
                error!(%cell, %epoch, action = %action, "decided to change nothing");
                self.learn(Fact::Frozen { cell: cell.clone(), why: reason.clone() }, now);
            } else {
                warn!(%cell, %epoch, action = %action, "decided");
            }
        }
        metrics::decided(action.kind());
    }

    /// Keeps a decision with what it rests on: here, and in the audit log.
    fn note(&mut self, action: &Action, cell: &CellId, now: Instant) {
        let Some(seen) = self.state.cells().get(cell) else { return };
        let Hands { policy, store, .. } = &self.hands;
        let evidence = evidence::of_cell(cell, seen, &self.state, policy, now);
        let entry = Audited::new(action, &evidence, audit::evidence(&self.state, cell, now));
        self.notes.push(Box::pin(entry.clone().write(store.clone())));
        self.audits.insert(cell.clone(), entry);
        let (kind, what) = (action.kind(), action.to_string());
        self.remember(cell, kind, what.clone(), &evidence);
        let at_unix_ms = evidence.at_unix_ms;
        self.decisions.write(Decision { at_unix_ms, action: kind, what, evidence });
    }

    /// Writes into the audit log what came of a move that nobody asked for.
    pub(super) fn note_outcome(&mut self, cell: &CellId, outcome: &Outcome) {
        if let Outcome::Unwilling { .. } = outcome {
            return;
        }
        let Some(entry) = self.audits.remove(cell) else { return };
        self.notes.push(Box::pin(entry.with(outcome).write(self.hands.store.clone())));
    }

    pub(super) fn write(&self, happening: &Happening) {
        let Happening { kind, cell, epoch, reason, .. } = happening;
        let region = happening.region.as_ref().map(RegionId::as_str);
        info!(event = kind.name(), %cell, region, %epoch, reason, "seen");
        self.log.write(happening);
    }
}
