//! Reads what is known of drills by schedule, tells what is new in that, and shows it: in every control plane,
//! whoever has them run.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use runtime::{Board, reconcile};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::wire::lever::LeverRecord;
use topology::wire::suite::SuitePlan;

use crate::decide::happenings::rehearsals::since;
use crate::decide::rehearse::{RENEW, Right};
use crate::event_log::EventLog;
use crate::store::etcd::Store;
use crate::store::suite::StoredSuite;

/// What is known of drills by schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Whose control plane has them run.
    pub executor: Option<String>,
    /// Whether this control plane was told to have some run.
    pub is_told: bool,
    pub plan: Option<SuitePlan>,
    /// Why no drill runs, whoever would run it, if the lever is pulled.
    pub lever: Option<LeverRecord>,
}

impl Schedule {
    /// Whether drills are, or were, run by schedule at all.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.executor.is_some() || self.plan.is_some()
    }

    /// Returns the plan where it is meant to be followed: it stays in etcd when nobody is told to any more.
    /// Whoever is told to, and may not or cannot, is no executor.
    #[must_use]
    pub fn followed(&self) -> Option<&SuitePlan> {
        self.plan.as_ref().filter(|_| self.is_told || self.executor.is_some())
    }
}

/// Shows nothing where none are run so and none is stopped.
pub type Shown = watch::Sender<Option<Arc<Schedule>>>;

/// What is kept from one look to the next.
#[derive(Default)]
struct Kept {
    right: Right,
    has_looked: bool,
    plan: Option<SuitePlan>,
    lever: Option<LeverRecord>,
}

/// Reads until stopped. While etcd cannot be read the plan stays, and whoever had drills run is soon not known
/// to any more. `is_told` is whether this control plane was told to have some run.
pub async fn read(
    store: Store,
    log: EventLog,
    shown: Shown,
    is_told: bool,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let kept = Mutex::new(Kept::default());
    let wake = Notify::new();
    let look = || async {
        let mut kept = kept.lock().await;
        let read = store.suite().await.context("read who has drills run");
        let outcome = read.and_then(|stored| learn(&mut kept, stored, &log));
        show(&kept, is_told, &shown);
        outcome
    };
    reconcile::reconcile("read the schedule of drills", &board, &wake, RENEW, stop, look).await
}

fn learn(kept: &mut Kept, stored: StoredSuite, log: &EventLog) -> anyhow::Result<()> {
    let StoredSuite { holder, plan, lever, malformed, .. } = stored;
    kept.right.saw(holder, Instant::now());
    if let Some(plan) = plan {
        // What is there at the first look may be of a platform that was stopped long ago.
        if kept.has_looked {
            for happened in since(&plan, kept.plan.as_ref()) {
                log.write_rehearsal(&happened);
            }
        }
        kept.plan = Some(plan);
    }
    kept.lever = lever;
    kept.has_looked = true;
    match malformed {
        Some(why) => bail!("understand the schedule of drills: {why}"),
        None => Ok(()),
    }
}

fn show(kept: &Kept, is_told: bool, shown: &Shown) {
    let executor = kept.right.holder(Instant::now()).map(str::to_owned);
    let mut plan = kept.plan.clone();
    // Where nobody has drills run nothing goes on, whatever was written last.
    if let Some(plan) = plan.as_mut().filter(|_| executor.is_none()) {
        (plan.running, plan.held) = (None, None);
    }
    let schedule = Schedule { executor, is_told, plan, lever: kept.lever.clone() };
    let is_known = schedule.is_kept() || schedule.lever.is_some();
    let schedule = is_known.then(|| Arc::new(schedule));
    shown.send_if_modified(|known| {
        let is_news = *known != schedule;
        *known = schedule;
        is_news
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::rehearse::Holder;

    #[test]
    fn a_plan_that_is_left_behind_is_shown_and_not_followed() {
        let plan = json!({ "suite": "weekly", "title": "", "written_unix_ms": 1, "running": null,
            "held": null, "next": [], "last": [] });
        let plan: SuitePlan = serde_json::from_value(plan).unwrap();
        let north = Holder { region: "north".to_owned(), sequence: 1 };
        for (is_told, holder, is_followed) in [
            (false, None, false),
            (false, Some(north.clone()), true),
            // It may not, or cannot: somebody should look.
            (true, None, true),
            (true, Some(north), true),
        ] {
            let mut kept = Kept { plan: Some(plan.clone()), ..Kept::default() };
            kept.right.saw(holder, Instant::now());
            let (shown, schedule) = watch::channel(None);
            show(&kept, is_told, &shown);
            let schedule = schedule.borrow().clone().unwrap();
            assert_eq!(schedule.plan, Some(plan.clone()));
            assert_eq!(schedule.followed().is_some(), is_followed, "{schedule:?}");
        }
    }

    #[test]
    fn a_pulled_lever_is_shown_where_nothing_is_run_by_schedule() {
        let pulled = LeverRecord::pulled(br#"{"pulled":true,"reason":"an incident"}"#).unwrap();
        let kept = Kept { lever: Some(pulled.clone()), ..Kept::default() };
        let (shown, schedule) = watch::channel(None);
        show(&kept, false, &shown);
        let known = schedule.borrow().clone().unwrap();
        assert_eq!((known.lever.as_ref(), known.is_kept()), (Some(&pulled), false));
        show(&Kept::default(), false, &shown);
        assert_eq!(*schedule.borrow(), None);
    }
}
