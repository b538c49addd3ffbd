//! An operation that moves one cell: it is written down as going on, and carried out at once by the control
//! plane that was asked, or by the one that finds itself named in it.

use std::time::Duration;

use runtime::Problem;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

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
    /// Another control plane has executed it, or the same was asked for before, with the same key. This is how
    /// it has ended.
    Ended { id: String, operation: Box<Operation> },
}

/// Writes down what `plan` makes of the newest state, and has it carried out: here, or by whom it names.
pub(super) async fn start(
    api: &Api,
    goal: &Goal,
    who: &Asked,
    told: Told,
    plan: impl Fn(&State) -> Result<New, Problem>,
) -> Result<Started, Problem> {
    let id = match begin::begin(api, goal, who, plan).await? {
        Begun::Now { id, kept } if kept.value.executor == api.vantage => {
            let (ends, ended) = oneshot::channel();
            let under_way = UnderWay { id: id.clone(), kept, told, ended: ends };
            api.under_way.send(under_way).await.map_err(|closed| error::stopping(&closed))?;
            return Ok(Started::Now { id, ended });
        }
        Begun::Now { id, .. } | Begun::Before { id, .. } => id,
    };
    let operation = ended(api, &id).await?;
    Ok(Started::Ended { id, operation: Box::new(operation) })
}

/// Waits until an operation has ended, for a while, and returns how it is then. What is seen here may not
/// have come to it yet.
async fn ended(api: &Api, id: &str) -> Result<Operation, Problem> {
    let due = Instant::now() + ELSEWHERE;
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
