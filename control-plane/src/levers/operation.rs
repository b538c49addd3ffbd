//! Operations: which there are, and cancelling one.

use std::sync::Arc;

use runtime::{Problem, clock};
use tokio::time::Instant;
use topology::CellId;

use super::history::History;
use super::preview::{Ahead, Preview, preview};
use super::{asked, fresh, glanced};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::advance::{Fate, Situation, cancelled, fates, too_late_to_cancel};
use crate::decide::operation::{Operation, Status, What};
use crate::store::Kept;
use crate::store::operations::Operations;

/// How often a cancellation is written: its executor writes too.
const TRIES: usize = 10;

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
    let state = Arc::clone(&api.state.borrow());
    let refused = match glanced(&state, || api.store.operations()).await {
        Ok(stored) => return Ok(Known { operations: all(stored), remembered: None }),
        Err(problem) => problem,
    };
    // What has been heard while etcd was asked is newer.
    let state = Arc::clone(&api.state.borrow());
    let read_at = state.read_at().ok_or(refused)?;
    let seen = state.intent().operations().iter().rev();
    // One that was being put away when etcd fell silent has ended.
    let went_on = seen.filter(|(_, seen)| !seen.operation.status.has_ended());
    let operations = went_on.map(|(id, seen)| (id.clone(), Operation::clone(&seen.operation)));
    Ok(Known { operations: operations.collect(), remembered: Some(read_at) })
}

/// Returns all operations with their ids, the newest first.
fn all(stored: Operations) -> Vec<(String, Operation)> {
    let Operations { going_on, ended, .. } = stored;
    let going_on = going_on.into_iter().map(|(id, kept)| (id, kept.value));
    let mut all: Vec<_> = going_on.chain(ended).collect();
    // One that is being put away is there twice, and the same.
    all.sort_by(|(one, _), (other, _)| other.cmp(one));
    all.dedup_by(|(one, _), (other, _)| one == other);
    all
}

/// Returns one operation.
pub async fn one(api: &Api, id: &str) -> Result<Operation, Problem> {
    let stored = asked(|| api.store.operations()).await?;
    let found = all(stored).into_iter().find(|(known, _)| known == id);
    found.map(|(_, operation)| operation).ok_or_else(|| error::unknown_operation(id))
}

/// Returns what cancelling an operation would come to, or why it cannot be cancelled.
pub async fn ahead(api: &Api, id: &str) -> Result<Preview, Problem> {
    let state = fresh(api).await?;
    let seen = state.intent().operations().get(id);
    let Some(seen) = seen.filter(|seen| !seen.operation.status.has_ended()) else {
        return Err(error::operation_ended(id, &one(api, id).await?));
    };
    let operation = &seen.operation;
    if operation.cancel.is_none() {
        in_time(id, operation, &state)?;
    }
    let (now, unix_ms) = (Instant::now(), clock::unix_millis());
    let at = Situation { state: &state, spec: &api.spec, now, unix_ms };
    let fates = fates(operation, at);
    let fates =
        fates.iter().map(|((wave, index), fate)| (&operation.waves[*wave][*index].what, fate));
    let (mut said, mut also) = (Vec::new(), Vec::new());
    for (what, fate) in fates {
        let becomes = match fate {
            Fate::LeftOut => "leave out",
            Fate::BroughtToItsEnd => "bring to its end",
            Fate::TakenBack => "take back",
        };
        said.push(format!("{becomes}: {what}"));
        also.extend(cell(what).filter(|_| *fate != Fate::BroughtToItsEnd));
    }
    if said.is_empty() {
        said.push(unchanged(operation));
    }
    // It moves nothing: how long moves take says nothing of it.
    let history = History::default();
    let ahead = Ahead { waves: &[], broken: &[], also, loss: None, etag: tag(operation) };
    Ok(Preview { waves: vec![said], ..preview(ahead, &state, &api.spec, &history) })
}

/// Returns why a cancellation would leave every step as it is.
fn unchanged(operation: &Operation) -> String {
    let why = match (&operation.cancel, &operation.status) {
        (Some(cancel), _) => format!("{} has cancelled it already", cancel.who),
        (None, Status::Undoing) => "what it has done is taken back already".to_owned(),
        (None, _) => "nothing of it goes on or waits".to_owned(),
    };
    format!("change nothing: {why}")
}

/// Cancels an operation: no step is begun any more. Twice is once, and what takes back what it has done goes on
/// with that. A cell that moves alone is not stopped.
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
        let next = cancelled(&kept.value, who, clock::unix_millis());
        if next == kept.value {
            return Ok(next);
        }
        if kept.value.is_one_move() {
            in_time(id, &kept.value, &fresh(api).await?)?;
        }
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

/// Returns the one cell that a step is about.
fn cell(what: &What) -> Option<&CellId> {
    match what {
        What::Move(planned) => Some(&planned.cell),
        What::Elect(election) => Some(&election.cell),
        What::Retire(site) | What::Add(site) => Some(&site.cell),
        What::Drain(_) | What::Undrain(_) => None,
    }
}
