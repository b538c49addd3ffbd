//! What an operation writes without moving a cell: that a region is drained, that a site is kept out.
//! Both are written only if the operation is still at the revision that says so: an executor that comes
//! too late changes nothing.

use std::sync::Arc;

use topology::snapshot::RoutedCell;
use topology::wire::lever::RegionRecord;
use topology::{RegionId, SiteId};

use super::hands::Hands;
use crate::decide::operation::What;
use crate::decide::operation::memory::Answer;
use crate::decide::safety;

/// Who writes it.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) hands: &'a Hands,
    pub(super) operation: &'a str,
    pub(super) revision: u64,
}

/// Writes the mark that a step is about.
pub(super) async fn carry_out(by: By<'_>, what: &What, unix_ms: u64) -> Answer {
    match what {
        What::Drain(it) => region(by, it, true, unix_ms).await,
        What::Undrain(it) => region(by, it, false, unix_ms).await,
        What::Retire(it) => site(by, it, true).await,
        What::Add(it) => site(by, it, false).await,
        What::Move(_) | What::Elect(_) => Answer::Refused(format!("to {what} is to move a cell")),
    }
}

/// Says that a region is drained, or is a target again.
async fn region(by: By<'_>, region: &RegionId, drained: bool, unix_ms: u64) -> Answer {
    let operation = by.operation.to_owned();
    let mark = RegionRecord { drained, operation, since_unix_ms: unix_ms };
    match by.hands.store.mark_region(region, &mark, by.revision).await {
        Ok(true) => Answer::Done(None),
        Ok(false) => Answer::Refused("somebody else executes the operation".to_owned()),
        Err(err) => Answer::Refused(err.to_string()),
    }
}

/// Says in the cell's record that a site is kept out, or is let in again, under the epoch that goes on.
async fn site(by: By<'_>, site: &SiteId, out: bool) -> Answer {
    let state = Arc::clone(&by.hands.state.borrow());
    let Some(seen) = state.cells().get(&site.cell) else {
        return Answer::Refused(format!("there is no cell {}", site.cell));
    };
    // The cell may have moved since the step began.
    if out && let Some(broken) = safety::retired(site, &state).first() {
        return Answer::Refused(broken.detail.clone());
    }
    let activation = &seen.routed.activation;
    let done = if out { "kept out" } else { "let in again" };
    let reason = format!("{site} is {done}, by {}", by.operation);
    let Some(activation) = activation.keep_out(&site.region, out, &reason) else {
        return Answer::Refused(format!("{} is {}", site.cell, activation.phase));
    };
    let routed = RoutedCell { activation, gateways: seen.routed.gateways.clone() };
    let (operation, cell) = ((by.operation, by.revision), (&site.cell, seen.revision));
    match by.hands.store.replace_cell_for(operation, cell, &routed).await {
        Ok(true) => Answer::Done(None),
        Ok(false) => {
            let why = "the cell's record, or the operation's, has changed meanwhile";
            Answer::Refused(why.to_owned())
        }
        Err(err) => Answer::Refused(err.to_string()),
    }
}
