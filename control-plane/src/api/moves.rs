//! Moving a cell: by plan, or because its active site is lost and a person says so.

mod ahead;
pub(super) mod failover;
pub(super) mod switchover;

use std::sync::Arc;
use std::time::Duration;

use runtime::Problem;
use runtime::json_body::invalid;
use tokio::sync::oneshot;
use tokio::time::timeout;
use topology::{CellId, Epoch, Phase, RegionId};
use tracing::info;

use super::{Api, error};
use crate::decide::State;
use crate::levers::request::REASON_MAX;

/// How long a promoted target may take to open its epoch; a cell that takes longer is in trouble,
/// and whoever asked should look.
const OPEN: Duration = Duration::from_secs(5);
/// How long an answer waits for the end of its operation to be recorded, once the cell is served.
const RECORDED: Duration = Duration::from_secs(2);

/// Reads what somebody says for the audit log; blanks say nothing.
pub(super) fn sentence(pointer: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > REASON_MAX) {
        return Err(invalid(pointer, &format!("a reason has at most {REASON_MAX} characters")));
    }
    Ok(text.map(ToOwned::to_owned))
}

/// Waits until the end of an operation is recorded: what is asked next shall not find it in its way.
/// Without etcd that is later.
async fn recorded(api: &Api, id: &str, ended: oneshot::Receiver<()>) {
    let seen = async {
        if ended.await.is_ok() {
            return true;
        }
        // Somebody else records it, or has.
        let mut state = api.state.clone();
        let is_over = |state: &Arc<State>| {
            let seen = state.intent().operations().get(id);
            seen.is_none_or(|seen| seen.operation.status.has_ended())
        };
        state.wait_for(is_over).await.is_ok()
    };
    if !timeout(RECORDED, seen).await.unwrap_or(false) {
        info!(operation = id, "answered before the end is recorded");
    }
}

/// A cell's tag is its epoch.
fn epoch(tag: &str) -> Result<Epoch, Problem> {
    let number = tag.trim_matches('"').parse().map(Epoch);
    number.map_err(|err| {
        let why = format!("If-Match {tag:?} is no cell's ETag, such as \"7\": {err}");
        invalid("", &why)
    })
}

/// Waits until the target has opened its epoch, and returns whether it has.
async fn opened(api: &Api, cell: &CellId, to: &RegionId, epoch: Epoch) -> Result<bool, Problem> {
    let steady = Phase::Steady { active: to.clone() };
    let mut state = api.state.clone();
    let ended = state.wait_for(|state| {
        state.cells().get(cell).is_some_and(|seen| {
            let activation = &seen.routed.activation;
            activation.epoch > epoch || (activation.epoch == epoch && activation.phase == steady)
        })
    });
    if let Ok(Err(closed)) = timeout(OPEN, ended).await {
        return Err(error::stopping(&closed));
    }
    let state = Arc::clone(&api.state.borrow());
    Ok(state.cells().get(cell).is_some_and(|seen| {
        let activation = &seen.routed.activation;
        activation.epoch == epoch && activation.phase == steady
    }))
}

/// Says how the cell is now.
fn standing(api: &Api, cell: &CellId) -> String {
    let state = api.state.borrow();
    let seen = state.cells().get(cell);
    seen.map_or_else(|| "gone".to_owned(), |seen| seen.routed.activation.to_string())
}

fn region(pointer: &str, text: &str) -> Result<RegionId, Problem> {
    text.parse().map_err(|err: topology::InvalidId| invalid(pointer, &err.to_string()))
}
