//! Operations on a region and on a site: what they come to, and beginning one.

use runtime::{Problem, clock};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use topology::SiteId;

use super::{asked, fresh, may_override, outside_window, permitted};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::{Asked, Goal, Operation};
use crate::decide::plan::{Plan, plan};

/// How often a new operation is tried to be written: others may begin one at the same moment.
const TRIES: usize = 4;
/// A pause between two waves is to watch what the last one did; longer ones are operations of their
/// own.
pub const PAUSE_MAX_S: u64 = 3600;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    pub goal: Goal,
    pub who: String,
    pub reason: Option<String>,
    /// How long to watch after each wave.
    pub pause_ms: u64,
    /// Names of safety rules that shall not stand in the way.
    pub override_rules: Vec<String>,
    pub idempotency_key: Option<String>,
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
    let plan = planned(api, goal, &state);
    Ok(Look { tag: tag(&plan), plan, state })
}

/// Begins the operation, and returns it with its id. Asked again with the same key, it is the same
/// operation.
pub async fn begin(api: &Api, order: &Order) -> Result<(String, Operation), Problem> {
    known(api, &order.goal)?;
    may_override(&order.override_rules, order.reason.as_deref())?;
    for _ in 0..TRIES {
        let stored = asked(|| api.store.operations()).await?;
        if let Some(key) = &order.idempotency_key {
            let going_on = stored.going_on.iter().map(|(id, kept)| (id, &kept.value));
            let all = going_on.chain(stored.ended.iter().map(|(id, value)| (id, value)));
            let mut same = all.filter(|(_, operation)| {
                let asked = &operation.asked;
                asked.who == order.who && asked.idempotency_key.as_ref() == Some(key)
            });
            match same.next() {
                Some((id, found)) if found.goal == order.goal => {
                    return Ok((id.clone(), found.clone()));
                }
                Some(_) => return Err(error::key_reused()),
                None => {}
            }
        }
        if let Some(id) = stored.unread.first() {
            return Err(error::operation_unread(id));
        }
        let mut going_on =
            stored.going_on.iter().filter(|(_, kept)| !kept.value.status.has_ended());
        if let Some((id, kept)) = going_on.next() {
            return Err(error::operation_running(id, &kept.value));
        }
        let state = fresh(api).await?;
        let plan = planned(api, &order.goal, &state);
        if let Some(expected) = &order.expected {
            error::matches(expected, &tag(&plan))?;
        }
        permitted(&plan.broken, &order.override_rules)?;
        let who = Asked {
            who: order.who.clone(),
            vantage: api.vantage.clone(),
            at_unix_ms: clock::unix_millis(),
            reason: order.reason.clone(),
            override_rules: order.override_rules.clone(),
            idempotency_key: order.idempotency_key.clone(),
        };
        let operation = Operation::new(order.goal.clone(), who, order.pause_ms, plan.waves);
        let id = stored.next_id();
        let created = asked(|| api.store.create_operation(&id, &operation));
        if created.await?.is_some() {
            return Ok((id, operation));
        }
    }
    Err(error::overtaken("others begin operations at the same moment"))
}

/// Returns the plan, and whether it may begin at this moment.
fn planned(api: &Api, goal: &Goal, state: &State) -> Plan {
    let mut plan = plan(goal, state, &api.spec, Instant::now());
    plan.broken.extend(outside_window(&api.spec, clock::unix_millis()));
    plan
}

fn known(api: &Api, goal: &Goal) -> Result<(), Problem> {
    let region = goal.region();
    if api.spec.region(region).is_none() {
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
