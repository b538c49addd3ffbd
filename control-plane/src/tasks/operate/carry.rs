//! Orders the move of a cell that an operation's step is about, and says what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use topology::{Activation, Cause, CellId, Phase};
use tracing::info;

use crate::decide::State;
use crate::decide::asked_failover::Asked;
use crate::decide::operation::memory::Answer;
use crate::decide::operation::{Election, Move, What};
use crate::tasks::control::Order;
use crate::tasks::fail_over::{Elected, Failover, Unelected};
use crate::tasks::switch::{Handed, Switchover, Undone};

/// How long what this process knows may lag behind what a step was planned from: it reads etcd twice a
/// second.
const LAGS: Duration = Duration::from_secs(2);

/// What came of handing a cell over.
pub type Handover = Result<Handed, Undone>;

/// What came of an election that a person asked for.
pub type Elections = Result<Elected, Unelected>;

/// Who is told as soon as somebody is being promoted, or it is known that nobody will be.
pub enum Told {
    Handover(oneshot::Sender<Handover>),
    Election(oneshot::Sender<Elections>),
}

pub(super) struct Carrier {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) state: watch::Receiver<Arc<State>>,
    /// The operation.
    pub(super) cause: Cause,
    pub(super) told: Option<Told>,
}

impl Carrier {
    /// Carries a move or an election out to its end.
    pub(super) async fn carry_out(self, what: What, reason: Option<String>) -> Answer {
        match what {
            What::Move(planned) => self.switch(planned).await,
            What::Elect(election) => match (election.accept_data_loss, reason) {
                // Nobody can ask for it so; a record may have lost it.
                (true, None) => Answer::Refused("nobody said why data may be lost".to_owned()),
                (true, Some(reason)) => self.elect(election, Some(reason)).await,
                (false, _) => self.elect(election, None).await,
            },
            What::Drain(_) | What::Undrain(_) | What::Retire(_) | What::Add(_) => {
                Answer::Refused(format!("to {what} is to write a mark"))
            }
        }
    }

    async fn switch(mut self, planned: Move) -> Answer {
        let Move { cell, from, to, epoch } = planned;
        let as_planned = |now: &Activation| {
            let is_there = matches!(&now.phase, Phase::Steady { active } if *active == from);
            now.epoch > epoch || (now.epoch == epoch && is_there)
        };
        self.catches_up(&cell, as_planned).await;
        let (reply, answer) = oneshot::channel();
        let (planned, cause) = (Some(epoch), self.cause.clone());
        let order = Order::Switchover(Switchover { cell, to, planned, cause, reply });
        let handover = self.ordered(order, answer).await;
        let answer = match &handover {
            Ok(handed) => Answer::Done(Some(handed.announced)),
            Err(undone) => Answer::Refused(undone.to_string()),
        };
        if let Some(Told::Handover(told)) = self.told
            && told.send(handover).is_err()
        {
            info!("nobody waits for the planned move any more");
        }
        answer
    }

    /// With a reason to accept data loss, or without accepting any.
    async fn elect(mut self, election: Election, accepted: Option<String>) -> Answer {
        let Election { cell, to, epoch, .. } = election;
        self.catches_up(&cell, |now| now.epoch >= epoch).await;
        let (reply, answer) = oneshot::channel();
        let asked = Asked { cell, to, accept_data_loss: accepted.is_some() };
        let cause = self.cause.clone();
        let order = Order::Failover(Failover { asked, accepted, cause, reply });
        let elected = self.ordered(order, answer).await;
        let answer = match &elected {
            Ok(_) => Answer::Done(None),
            Err(unelected) => Answer::Refused(unelected.to_string()),
        };
        if let Some(Told::Election(told)) = self.told
            && told.send(elected).is_err()
        {
            info!("nobody waits for the failover any more");
        }
        answer
    }

    /// Waits for a moment until this process knows the cell as it was when the step was planned: then etcd
    /// had been read, and what is decided by here may not have come so far.
    async fn catches_up(&mut self, cell: &CellId, knows: impl Fn(&Activation) -> bool) {
        let knows = |state: &Arc<State>| {
            state.cells().get(cell).is_some_and(|it| knows(&it.routed.activation))
        };
        // What is not known by then is refused, with the reason.
        drop(timeout(LAGS, self.state.wait_for(knows)).await);
    }

    /// Has it done by whoever moves cells. If this process stops, whoever executes the operation next sees
    /// what has come of it.
    async fn ordered<T>(&self, order: Order, answer: oneshot::Receiver<T>) -> T {
        let answer = match self.orders.send(order).await {
            Ok(()) => answer.await.map_err(|closed| closed.to_string()),
            Err(closed) => Err(closed.to_string()),
        };
        match answer {
            Ok(answer) => answer,
            Err(stopping) => {
                info!(stopping, "the move is left to others");
                std::future::pending().await
            }
        }
    }
}
