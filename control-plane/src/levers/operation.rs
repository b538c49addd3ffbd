//! Operations: which there are, and cancelling one.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Problem, clock};
use tokio::time::{Instant, timeout};
use topology::CellId;

use super::preview::{Ahead, Preview, preview};
use super::{asked, fresh, history};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::advance::{cancelled, too_late_to_cancel};
use crate::decide::operation::{Operation, StepState, What};
use crate::store::Kept;
use crate::store::operations::Operations;

/// How often a cancellation is written: its executor writes too.
const TRIES: usize = 10;
/// How long etcd may take before what is remembered is told instead: as long as it is asked for a lever.
const LOOK: Duration = Duration::from_secs(2);

/// The operations that there are, as far as that is known.
pub struct Known {
    /// With their ids, the newest first.
    pub operations: Vec<(String, Operation)>,
    /// When that was so, where it is remembered: those that have ended are missing then. etcd alone has
    /// them.
    pub remembered: Option<Instant>,
}

/// Returns all operations, or those that went on when etcd last answered.
pub async fn known(api: &Api) -> Result<Known, Problem> {
    let refused = match timeout(LOOK, list(api)).await {
        Ok(Ok(operations)) => return Ok(Known { operations, remembered: None }),
        Ok(Err(problem)) => problem,
        Err(_) => error::etcd_silent(LOOK),
    };
    let state = Arc::clone(&api.state.borrow());
    let read_at = state.read_at().ok_or(refused)?;
    let seen = state.intent().operations().iter().rev();
    let operations = seen.map(|(id, seen)| (id.clone(), Operation::clone(&seen.operation)));
    Ok(Known { operations: operations.collect(), remembered: Some(read_at) })
}

/// Returns all operations with their ids, the newest first.
pub async fn list(api: &Api) -> Result<Vec<(String, Operation)>, Problem> {
    let Operations { going_on, ended, .. } = asked(|| api.store.operations()).await?;
    let going_on = going_on.into_iter().map(|(id, kept)| (id, kept.value));
    let mut all: Vec<_> = going_on.chain(ended).collect();
    // One that is being put away is there twice, and the same.
    all.sort_by(|(one, _), (other, _)| other.cmp(one));
    all.dedup_by(|(one, _), (other, _)| one == other);
    Ok(all)
}

/// Returns one operation.
pub async fn one(api: &Api, id: &str) -> Result<Operation, Problem> {
    let all = list(api).await?;
    let found = all.into_iter().find(|(known, _)| known == id);
    found.map(|(_, operation)| operation).ok_or_else(|| error::unknown_operation(id))
}

/// Returns what cancelling an operation would come to, or why it cannot be cancelled.
pub async fn ahead(api: &Api, id: &str) -> Result<Preview, Problem> {
    let operation = going_on(api, id).await?.value;
    let state = fresh(api).await?;
    in_time(id, &operation, &state)?;
    let (mut said, mut stay) = (Vec::new(), Vec::new());
    for step in operation.steps() {
        match (&step.state, &step.what) {
            (StepState::Waiting, what) => {
                said.push(format!("leave out: {what}"));
                stay.extend(moved(what));
            }
            (StepState::Going { .. }, what) => said.push(format!("bring to its end: {what}")),
            (StepState::Done { .. }, what @ (What::Drain(_) | What::Retire(_) | What::Add(_))) => {
                said.push(format!("take back: {what}"));
            }
            (StepState::Done { .. } | StepState::Skipped(_) | StepState::Failed(_), _) => {}
        }
    }
    let history = history::read(api).await?;
    let etag = tag(&operation);
    let ahead = Ahead { waves: &[], broken: &[], also: stay, loss: None, etag };
    Ok(Preview { waves: vec![said], ..preview(ahead, &state, &api.spec, &history) })
}

/// Cancels an operation: no step is begun any more. Twice is once. A cell that moves alone is not stopped.
pub async fn cancel(
    api: &Api,
    id: &str,
    who: &str,
    expected: Option<&str>,
) -> Result<Operation, Problem> {
    for _ in 0..TRIES {
        let kept = going_on(api, id).await?;
        if let Some(expected) = expected {
            error::matches(expected, &tag(&kept.value))?;
        }
        if kept.value.cancel.is_some() {
            return Ok(kept.value);
        }
        if kept.value.is_one_move() {
            in_time(id, &kept.value, &fresh(api).await?)?;
        }
        let next = cancelled(&kept.value, who, clock::unix_millis());
        let next = Operation { sequence: kept.value.sequence + 1, ..next };
        let replace = || api.store.replace_operation(id, kept.revision, &next);
        if asked(replace).await?.is_some() {
            return Ok(next);
        }
    }
    Err(error::overtaken("its executor writes it again and again"))
}

/// Returns what changes whenever the operation does.
#[must_use]
pub fn tag(operation: &Operation) -> String {
    format!("\"{}\"", operation.sequence)
}

/// Returns an operation that has not ended.
async fn going_on(api: &Api, id: &str) -> Result<Kept<Operation>, Problem> {
    let stored = asked(|| api.store.operations()).await?;
    let found = stored.going_on.into_iter().find(|(known, _)| known == id);
    match found.filter(|(_, kept)| !kept.value.status.has_ended()) {
        Some((_, kept)) => Ok(kept),
        None => Err(error::operation_ended(id, &one(api, id).await?)),
    }
}

fn in_time(id: &str, operation: &Operation, state: &State) -> Result<(), Problem> {
    let too_late = too_late_to_cancel(operation, state);
    too_late.map_or(Ok(()), |why| Err(error::too_late(id, operation, &why)))
}

/// Returns the cell that a step would move.
fn moved(what: &What) -> Option<&CellId> {
    match what {
        What::Move(planned) => Some(&planned.cell),
        What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => None,
    }
}
