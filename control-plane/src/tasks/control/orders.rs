//! Moves that people ask for: begun, or refused with the reason.

use tokio::time::Instant;
use tracing::info;

use super::{Busy, Control, Order};
use crate::decide::asked_failover;
use crate::decide::safety;
use crate::decide::switchover::{self, Refusal};
use crate::metrics;
use crate::tasks::fail_over::{self, Failover, Unelected};
use crate::tasks::switch::{self, Move, Switchover, Undone};

impl Control {
    /// Begins what a person asks for, or says why not.
    pub(super) fn ordered(&mut self, order: Order) {
        match order {
            Order::Switchover(order) => self.switchover(order),
            Order::Failover(order) => self.failover(order),
        }
    }

    fn switchover(&mut self, order: Switchover) {
        let Switchover { cell, to, planned, cause, reply } = order;
        let busy = self.is_busy(&cell);
        // Every planned move passes here, however long ago it was permitted.
        let frozen = safety::frozen(&self.state, Instant::now());
        let checked = switchover::still(&self.state, &cell, planned);
        let checked = checked.and_then(|()| switchover::check(&self.state, &cell, &to));
        let checked = match checked {
            Ok(_) if busy => Err(Refusal::NotSteady("already being moved".to_owned())),
            Ok(from) => frozen.map_or(Ok(from), |broken| Err(Refusal::Frozen(broken.detail))),
            checked => checked,
        };
        let planned = checked.and_then(|from| {
            let seen = self.state.cells().get(&cell).cloned();
            let seen = seen.ok_or_else(|| Refusal::UnknownCell(cell.clone()))?;
            let vantage = &self.hands.policy.vantage;
            let reason = format!("planned move from {from} to {to}, driven from {vantage}");
            Ok(Move { cell: cell.clone(), seen, from, to, reason, cause })
        });
        let planned = match planned {
            Ok(planned) => planned,
            Err(refusal) => {
                info!(%cell, %refusal, "planned move refused");
                if reply.send(Err(Undone::Refused(refusal))).is_err() {
                    info!(%cell, "nobody waits for the planned move any more");
                }
                return;
            }
        };
        metrics::decided(metrics::SWITCHOVER);
        let hands = self.hands.clone();
        self.carry_out(cell, async move { switch::switch(&hands, &planned, reply).await });
    }

    /// An election that is going on is no obstacle: data loss may be accepted to end it sooner.
    fn failover(&mut self, order: Failover) {
        let cell = order.asked.cell.clone();
        let now = Instant::now();
        let ordered = self.busy.get(&Some(cell.clone())) == Some(&Busy::Ordered);
        let checked =
            asked_failover::check(&self.state, &self.hands.policy, &order.asked, now).cloned();
        let checked = match checked {
            Ok(seen) if ordered => {
                Err(asked_failover::Refusal::Electing(seen.routed.activation.phase.to_string()))
            }
            checked => checked,
        };
        let seen = match checked {
            Ok(seen) => seen,
            Err(refusal) => {
                info!(%cell, %refusal, "failover refused");
                if order.reply.send(Err(Unelected::Refused(refusal))).is_err() {
                    info!(%cell, "nobody waits for the failover any more");
                }
                return;
            }
        };
        metrics::decided(metrics::FAILOVER);
        let hands = self.hands.clone();
        self.carry_out(cell, async move { fail_over::fail_over(&hands, order, &seen).await });
    }
}
