//! Moving one cell by plan: an operation of one step, which is recorded as going on from the beginning and
//! carried out at once.

use std::time::Duration;

use runtime::{Problem, clock};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use topology::{Epoch, SiteId, Spec};

use super::begin::{self, Begun, New};
use super::{outside_window, permitted};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::{Asked, Goal, Operation};
use crate::decide::plan::{Plan, plan};
use crate::decide::switchover;
use crate::tasks::operate::{Handover, UnderWay};
use crate::tasks::switch::Undone;

/// How long one that was begun by a process that died is waited for: longer than any goes on.
const EARLIER: Duration = Duration::from_secs(90);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The site that is to be active.
    pub site: SiteId,
    pub who: String,
    pub reason: Option<String>,
    /// Names of safety rules that shall not stand in the way.
    pub override_rules: Vec<String>,
    pub idempotency_key: Option<String>,
    /// The epoch that was looked at: another is refused.
    pub planned: Option<Epoch>,
}

/// What came of asking.
pub enum Started {
    Now {
        id: String,
        /// Answered once the target is being promoted, or as soon as it is known that it will not be.
        handed: oneshot::Receiver<Handover>,
        /// Told once the end is recorded.
        ended: oneshot::Receiver<()>,
    },
    /// The same was asked for before, with the same key. This is how it ended, if it has by now.
    Before { id: String, operation: Box<Operation> },
}

/// Writes the operation down and has it carried out here.
pub async fn begin(api: &Api, order: &Order) -> Result<Started, Problem> {
    let goal = Goal::Switchover(order.site.clone());
    let who = Asked {
        who: order.who.clone(),
        vantage: api.vantage.clone(),
        at_unix_ms: clock::unix_millis(),
        reason: order.reason.clone(),
        override_rules: order.override_rules.clone(),
        idempotency_key: order.idempotency_key.clone(),
    };
    let begun = begin::begin(api, &goal, &who, |state| {
        let Plan { goal, waves, broken } = look(&order.site, state, &api.spec);
        permitted(&broken, &order.override_rules)?;
        let SiteId { cell, region: to } = &order.site;
        switchover::still(state, cell, order.planned)
            .and_then(|()| switchover::check(state, cell, to))
            .map_err(|refusal| error::undone(&Undone::Refused(refusal)))?;
        let operation = Operation::new(goal, who.clone(), 0, waves).under_way(who.at_unix_ms);
        Ok(New { operation, broken: Vec::new() })
    });
    let (id, kept) = match begun.await? {
        Begun::Now { id, kept } => (id, kept),
        Begun::Before { id, .. } => {
            let operation = ended(api, &id).await?;
            return Ok(Started::Before { id, operation: Box::new(operation) });
        }
    };
    let (hands, handed) = oneshot::channel();
    let (ends, ended) = oneshot::channel();
    let under_way = UnderWay { id: id.clone(), kept, handed: hands, ended: ends };
    api.under_way.send(under_way).await.map_err(|closed| error::stopping(&closed))?;
    Ok(Started::Now { id, handed, ended })
}

/// Returns the move as it would be, and the rules that it would break.
#[must_use]
pub fn look(site: &SiteId, state: &State, spec: &Spec) -> Plan {
    let mut plan = plan(&Goal::Switchover(site.clone()), state, spec, Instant::now());
    plan.broken.extend(outside_window(spec, clock::unix_millis()));
    plan
}

/// Waits until an operation has ended, for a while, and returns how it is then. What is seen here may not
/// have come to it yet.
async fn ended(api: &Api, id: &str) -> Result<Operation, Problem> {
    let due = Instant::now() + EARLIER;
    loop {
        let operation = super::operation::one(api, id).await?;
        if operation.status.has_ended() {
            return Ok(operation);
        }
        if Instant::now() >= due {
            return Err(error::goes_on(id, &operation));
        }
        sleep(LOOK).await;
    }
}
