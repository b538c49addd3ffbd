//! Promoting a standby of a cell whose active site is lost: an operation of one step. It waits for no
//! operation but another failover of the cell, and no rule for planned moves holds it.

use runtime::Problem;
use tokio::sync::oneshot;
use tokio::time::Instant;
use topology::Epoch;

use super::at_once::{Started, start};
use super::begin::New;
use super::request::Request;
use crate::api::{Api, error};
use crate::decide::Policy;
use crate::decide::asked_failover::{self, Asked};
use crate::decide::operation::{Goal, Operation};
use crate::decide::plan::{Plan, plan};
use crate::tasks::fail_over::Unelected;
use crate::tasks::operate::{Elections, Told};
use crate::tasks::switch::Undone;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    pub wanted: Asked,
    pub request: Request,
    /// The epoch that was looked at: another is refused.
    pub planned: Option<Epoch>,
}

/// Begins it. The second is answered once somebody is being promoted, or as soon as it is known that nobody
/// will be.
pub async fn begin(
    api: &Api,
    order: &Order,
) -> Result<(Started, oneshot::Receiver<Elections>), Problem> {
    let Asked { cell, to, accept_data_loss } = &order.wanted;
    let goal =
        Goal::Failover { cell: cell.clone(), to: to.clone(), accept_data_loss: *accept_data_loss };
    let who = order.request.asked(api);
    let policy = Policy::new(&api.spec, &api.vantage);
    let (told, elected) = oneshot::channel();
    let started = start(api, &goal, &who, Told::Election(told), |state| {
        let now = Instant::now();
        asked_failover::still(state, &order.wanted, order.planned)
            .map_err(|refusal| error::undone(&Undone::Refused(refusal)))?;
        asked_failover::check(state, &policy, &order.wanted, now)
            .map_err(|refusal| error::unelected(cell, &Unelected::Refused(refusal)))?;
        let Plan { goal, waves, .. } = plan(&goal, state, &api.spec, now);
        let operation = Operation::new(goal, who.clone(), 0, waves).under_way(who.at_unix_ms);
        Ok(New { operation, refused: None })
    });
    Ok((started.await?, elected))
}
