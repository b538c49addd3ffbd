//! Has drills run that are due by schedule, while this control plane holds the right to that; and tells
//! what is known of them, whoever has them run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Board, reconcile};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use topology::wire::suite::SuitePlan;
use tracing::{info, warn};

use crate::decide::Policy;
use crate::decide::happenings::rehearsals::{Kind, Rehearsal, since};
use crate::decide::rehearse::{Action, Child, Holder, RENEW, Right, decide};
use crate::event_log::EventLog;
use crate::rehearsal::{Followed, Rehearsals};
use crate::store::etcd::Store;
use crate::store::suite::StoredSuite;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long a suite is waited for when this process ends. One that breaks nothing ends at once; another
/// takes away what it did, and ends by itself.
const ENDS: Duration = Duration::from_secs(2);

/// What is known of drills by schedule; nothing where none are run so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Whose control plane has them run.
    pub executor: Option<String>,
    pub plan: Option<SuitePlan>,
}

/// Has a suite followed.
pub struct Rehearse {
    pub rehearsals: Rehearsals,
    pub policy: Policy,
    pub store: Store,
    pub log: EventLog,
    pub schedule: watch::Sender<Option<Arc<Schedule>>>,
    pub board: Board,
}

/// What is kept from one look to the next.
#[derive(Default)]
struct Kept {
    right: Right,
    read: Option<Instant>,
    revision: u64,
    plan: Option<SuitePlan>,
    followed: Option<Followed>,
    is_ending: bool,
    ended: Option<Instant>,
}

impl Rehearse {
    /// Runs until stopped, and stops a drill then.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let kept = Mutex::new(Kept::default());
        let wake = Notify::new();
        let look = || async {
            let mut kept = kept.lock().await;
            self.look(&mut kept).await
        };
        let name = "have drills run";
        reconcile::reconcile(name, &self.board, &wake, LOOK, stop, look).await?;
        let mut kept = kept.into_inner();
        let Some(followed) = &mut kept.followed else { return Ok(()) };
        followed.stop()?;
        // Whoever has more to take away than that does it without this process.
        timeout(ENDS, followed.wait()).await.unwrap_or(Ok(()))
    }

    async fn look(&self, kept: &mut Kept) -> anyhow::Result<()> {
        Self::reap(kept)?;
        let mut read = Ok(());
        if kept.read.is_none_or(|read| read.elapsed() >= RENEW) {
            read = self.read(kept).await;
        }
        let allowed = self.rehearsals.are_allowed();
        let allowed = allowed.as_ref().copied().map_err(String::as_str);
        let child = match (&kept.followed, kept.is_ending) {
            (None, _) => Child::None { ended: kept.ended },
            (Some(_), false) => Child::Runs,
            (Some(_), true) => Child::Ending,
        };
        let own = &self.policy.vantage;
        let rank = u32::try_from(self.policy.rank(own)).unwrap_or(u32::MAX);
        let now = Instant::now();
        let mut outcome = read;
        for action in decide(&kept.right, own.as_str(), rank, child, allowed, now) {
            // A write that fails is no reason to leave a drill running.
            outcome = outcome.and(self.carry_out(kept, action).await);
        }
        outcome
    }

    async fn read(&self, kept: &mut Kept) -> anyhow::Result<()> {
        let StoredSuite { holder, revision, plan } =
            self.store.suite().await.context("read who has drills run")?;
        let now = Instant::now();
        kept.right.saw(holder, now);
        (kept.read, kept.revision) = (Some(now), revision);
        if let Some(plan) = &plan {
            for happened in since(plan, kept.plan.as_ref()) {
                self.tell(&happened);
            }
        }
        kept.plan.clone_from(&plan);
        let executor = kept.right.holder(now).map(str::to_owned);
        let schedule = Some(Arc::new(Schedule { executor, plan }));
        self.schedule.send_if_modified(|known| {
            let is_news = *known != schedule;
            *known = schedule;
            is_news
        });
        Ok(())
    }

    async fn carry_out(&self, kept: &mut Kept, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Write { sequence } => {
                let region = self.policy.vantage.to_string();
                let holder = Holder { region, sequence };
                let sent = Instant::now();
                let held = self.store.hold_suite(&holder, kept.revision).await;
                // Whatever came of it, the next write is compared with what is there then.
                kept.read = None;
                let held = held.context("hold the right to have drills run")?;
                kept.right.wrote(holder, held, sent, Instant::now());
            }
            Action::Start => {
                kept.followed = Some(self.rehearsals.start(&self.policy.vantage)?);
                kept.is_ending = false;
                self.turn(Kind::SuiteFollowed, "this control plane has its drills run");
            }
            Action::LetGo { why } => {
                self.turn(Kind::SuiteLetGo, &why);
                kept.is_ending = true;
                if let Some(followed) = &mut kept.followed {
                    followed.let_go();
                }
            }
            Action::Stop { why } => {
                self.turn(Kind::SuiteLetGo, &why);
                kept.is_ending = true;
                if let Some(followed) = &mut kept.followed {
                    followed.stop()?;
                }
            }
        }
        Ok(())
    }

    fn reap(kept: &mut Kept) -> anyhow::Result<()> {
        let Some(followed) = &mut kept.followed else { return Ok(()) };
        if let Some(status) = followed.ended()? {
            if kept.is_ending {
                info!(status, "the suite has ended");
            } else {
                warn!(status, log = "logs/drills.log", "the suite ended by itself");
            }
            (kept.followed, kept.ended) = (None, Some(Instant::now()));
        }
        Ok(())
    }

    fn turn(&self, kind: Kind, reason: &str) {
        let evidence = format!("the suite {}", self.rehearsals.suite);
        self.tell(&Rehearsal { kind, reason: reason.to_owned(), evidence });
    }

    fn tell(&self, happened: &Rehearsal) {
        info!(event = happened.kind.name(), reason = happened.reason, "drills");
        self.log.write_rehearsal(happened);
    }
}
