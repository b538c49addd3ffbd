//! An operation that moves one cell: it is written down as going on, and carried out at once by the control
//! plane that was asked, or by the one that finds itself named in it.

use std::time::Duration;

use runtime::Problem;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tracing::info;

use super::begin::{self, Begun, New};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::{Asked, Goal, Operation};
use crate::tasks::operate::{Told, UnderWay};

/// How long one that another process executes is waited for, or that was begun by one that died: longer than
/// any goes on.
const ELSEWHERE: Duration = Duration::from_secs(90);
/// How often it is looked at: a person waits for the answer.
const LOOK: Duration = Duration::from_millis(200);

/// What came of asking.
pub enum Started {
    Now {
        id: String,
        /// Told once the end is recorded.
        ended: oneshot::Receiver<()>,
    },
    /// Another control plane executes it, or the same was asked for before, with the same key.
    Elsewhere { id: String, begun: Box<Operation> },
}

/// Writes down what `plan` makes of the newest state, and has it carried out: here, or by whom it names.
pub(super) async fn start(
    api: &Api,
    goal: &Goal,
    who: &Asked,
    told: Told,
    plan: impl Fn(&State) -> Result<New, Problem>,
) -> Result<Started, Problem> {
    let (id, begun) = match begin::begin(api, goal, who, plan).await? {
        Begun::Now { id, kept } if kept.value.executor == api.vantage => {
            let (ends, ended) = oneshot::channel();
            let under_way = UnderWay { id: id.clone(), kept, told, ended: ends };
            api.under_way.send(under_way).await.map_err(|closed| error::stopping(&closed))?;
            return Ok(Started::Now { id, ended });
        }
        Begun::Now { id, kept } => (id, kept.value),
        Begun::Before { id, operation } => (id, operation),
    };
    Ok(Started::Elsewhere { id, begun: Box::new(begun) })
}

/// Waits until an operation has ended that is executed elsewhere, for a while, and returns how it is then. It
/// goes on whether or not etcd can be asked here.
pub async fn ended(api: &Api, id: &str, begun: Operation) -> Result<Operation, Problem> {
    let (due, mut last) = (Instant::now() + ELSEWHERE, begun);
    while !last.status.has_ended() {
        if Instant::now() >= due {
            return Err(error::goes_on(id, &last));
        }
        sleep(LOOK).await;
        match super::operation::one(api, id).await {
            Ok(operation) => last = operation,
            Err(problem) => info!(operation = id, ?problem, "how it goes on is not known yet"),
        }
    }
    Ok(last)
}
