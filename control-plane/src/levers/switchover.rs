//! Moving one cell by plan: an operation of one step.

use runtime::Problem;
use tokio::sync::oneshot;
use tokio::time::Instant;
use topology::{Epoch, SiteId};

use super::at_once::{Started, start};
use super::begin::New;
use super::request::Request;
use super::{permitted, planned};
use crate::api::{Api, error};
use crate::decide::operation::executor::executor;
use crate::decide::operation::{Goal, Operation};
use crate::decide::plan::Plan;
use crate::decide::switchover;
use crate::tasks::operate::{Handover, Told};
use crate::tasks::switch::Undone;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The site that is to be active.
    pub site: SiteId,
    pub request: Request,
    /// The epoch that was looked at: another is refused.
    pub planned: Option<Epoch>,
}

/// Begins it. The second is answered once the target is being promoted, or as soon as it is known that it
/// will not be.
pub async fn begin(
    api: &Api,
    order: &Order,
) -> Result<(Started, oneshot::Receiver<Handover>), Problem> {
    let goal = Goal::Switchover(order.site.clone());
    let who = order.request.asked(api);
    let (told, handed) = oneshot::channel();
    let started = start(api, &goal, &who, Told::Handover(told), |state| {
        let Plan { goal, waves, broken } = planned(&goal, state, &api.spec);
        permitted(&broken, &order.request.override_rules)?;
        let SiteId { cell, region: to } = &order.site;
        switchover::still(state, cell, order.planned)
            .and_then(|()| switchover::check(state, cell, to))
            .map_err(|refusal| error::undone(&Undone::Refused(refusal)))?;
        let executor = executor(&goal, &api.vantage, state, Instant::now());
        let operation = Operation::new(goal, who.clone(), 0, waves).under_way(who.at_unix_ms);
        let operation = Operation { executor, ..operation };
        Ok(New { operation, refused: None })
    });
    Ok((started.await?, handed))
}
