//! Operations on a region and on a site: what they come to, and beginning one.

use runtime::Problem;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use topology::SiteId;

use super::begin::{self, Begun, New};
use super::request::Request;
use super::{fresh, may_override, permitted, planned};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::executor::executor;
use crate::decide::operation::{Goal, Operation};
use crate::decide::plan::Plan;

/// A pause between two waves is to watch what the last one did; longer ones are operations of their
/// own.
pub const PAUSE_MAX_S: u64 = 3600;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    pub goal: Goal,
    pub request: Request,
    /// How long to watch after each wave.
    pub pause_ms: u64,
    /// The plan that was looked at: another is refused.
    pub expected: Option<String>,
}

/// What would be done, and what is known of everything else at the same moment.
pub struct Look {
    pub plan: Plan,
    pub tag: String,
    pub state: State,
}

/// Returns the plan as it would be carried out now.
pub async fn look(api: &Api, goal: &Goal) -> Result<Look, Problem> {
    known(api, goal)?;
    let state = fresh(api).await?;
    let plan = planned(goal, &state, &api.spec);
    Ok(Look { tag: tag(&plan), plan, state })
}

/// Begins the operation, and returns it with its id. Asked again with the same key, it is the same
/// operation.
pub async fn begin(api: &Api, order: &Order) -> Result<(String, Operation), Problem> {
    known(api, &order.goal)?;
    let Request { override_rules, reason, .. } = &order.request;
    may_override(override_rules, reason.as_deref())?;
    let who = order.request.asked(api);
    let begun = begin::begin(api, &order.goal, &who, |state| {
        let plan = planned(&order.goal, state, &api.spec);
        if let Some(expected) = &order.expected {
            error::matches(expected, &tag(&plan))?;
        }
        let Plan { goal, waves, broken } = plan;
        let executor = executor(&goal, &api.vantage, state, Instant::now());
        let operation = Operation::new(goal, who.clone(), order.pause_ms, waves);
        let operation = Operation { executor, ..operation };
        Ok(New { operation, refused: permitted(&broken, override_rules).err() })
    });
    Ok(match begun.await? {
        Begun::Now { id, kept } => (id, kept.value),
        Begun::Before { id, operation } => (id, operation),
    })
}

fn known(api: &Api, goal: &Goal) -> Result<(), Problem> {
    if let Some(region) = goal.region()
        && api.spec.region(region).is_none()
    {
        return Err(error::unknown_region(region.as_str()));
    }
    let Some(SiteId { cell, region }) = goal.site() else { return Ok(()) };
    let state = api.state.borrow();
    let seen = state.cells().get(cell).ok_or_else(|| error::unknown_cell(cell.as_str()))?;
    if seen.routed.gateways.contains_key(region) {
        Ok(())
    } else {
        Err(error::not_a_site(cell, region))
    }
}

/// Returns what changes whenever the plan does.
#[must_use]
pub fn tag(plan: &Plan) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("{plan:?}").as_bytes()).into();
    let start = digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("\"{start:016x}\"")
}
