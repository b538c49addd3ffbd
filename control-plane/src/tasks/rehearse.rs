//! Has drills run that are due by schedule, while this control plane holds the right to that.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Board, reconcile};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use topology::wire::suite::REFUSED;
use tracing::{debug, warn};

use crate::decide::Policy;
use crate::decide::happenings::rehearsals::{Kind, Rehearsal};
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

/// Who was refused has ended by then: what goes on is told of then.
const FOLLOWS: Duration = Duration::from_secs(3);
/// Whoever has followed a suite for so long, has not done so in vain.
const WORTH_IT: Duration = Duration::from_mins(1);

/// Has a suite followed.
pub struct Rehearse {
    pub rehearsals: Rehearsals,
    pub policy: Policy,
    pub store: Store,
    pub log: EventLog,
    pub board: Board,
}

/// What is kept from one look to the next.
#[derive(Default)]
struct Kept {
    right: Right,
    read: Option<Instant>,
    revision: u64,
    followed: Option<Followed>,
    started: Option<Instant>,
    is_told: bool,
    ending: Option<Ending>,
    ended: Option<Instant>,
    in_vain: u32,
}

#[derive(Clone, Copy)]
enum Ending {
    LetGo,
    Stopping,
}

impl Kept {
    fn lasted(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }
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
        self.reap(kept)?;
        let goes_on = kept.followed.is_some() && kept.ending.is_none();
        if goes_on && !kept.is_told && kept.lasted() >= FOLLOWS {
            kept.is_told = true;
            self.turn(Kind::SuiteFollowed, "this control plane has its drills run");
        }
        let mut read = Ok(());
        if kept.read.is_none_or(|read| read.elapsed() >= RENEW) {
            read = self.read(kept).await;
        }
        let allowed = self.rehearsals.are_allowed();
        let allowed = allowed.as_ref().copied().map_err(String::as_str);
        let child = match (&kept.followed, kept.ending) {
            (None, _) => Child::None { ended: kept.ended, in_vain: kept.in_vain },
            (Some(_), None) => Child::Runs,
            (Some(_), Some(Ending::LetGo)) => Child::LetGo,
            (Some(_), Some(Ending::Stopping)) => Child::Stopping,
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
        let StoredSuite { holder, revision, .. } =
            self.store.suite().await.context("read who has drills run")?;
        let now = Instant::now();
        kept.right.saw(holder, now);
        (kept.read, kept.revision) = (Some(now), revision);
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
                let now = Instant::now();
                match self.rehearsals.start(&self.policy.vantage) {
                    Ok(followed) => kept.followed = Some(followed),
                    Err(err) => {
                        (kept.ended, kept.in_vain) = (Some(now), kept.in_vain.saturating_add(1));
                        return Err(err);
                    }
                }
                (kept.started, kept.ending, kept.is_told) = (Some(now), None, false);
            }
            Action::LetGo { why } => {
                self.let_go(kept, &why);
                kept.ending = Some(Ending::LetGo);
                if let Some(followed) = &mut kept.followed {
                    followed.let_go();
                }
            }
            Action::Stop { why } => {
                self.let_go(kept, &why);
                kept.ending = Some(Ending::Stopping);
                if let Some(followed) = &mut kept.followed {
                    followed.stop()?;
                }
            }
        }
        Ok(())
    }

    fn reap(&self, kept: &mut Kept) -> anyhow::Result<()> {
        let Some(followed) = &mut kept.followed else { return Ok(()) };
        let Some(status) = followed.ended()? else { return Ok(()) };
        let was_asked = kept.ending.is_some();
        let is_refused = is_refused(status);
        kept.in_vain = match (was_asked || kept.lasted() >= WORTH_IT, is_refused) {
            (true, _) => 0,
            (false, true) => kept.in_vain,
            (false, false) => kept.in_vain.saturating_add(1),
        };
        (kept.followed, kept.ended) = (None, Some(Instant::now()));
        if !was_asked {
            self.ended_by_itself(status, kept.is_told);
        }
        Ok(())
    }

    /// Told once, and only where it was told that the suite is followed.
    fn let_go(&self, kept: &mut Kept, why: &str) {
        if std::mem::take(&mut kept.is_told) {
            self.turn(Kind::SuiteLetGo, why);
        }
    }

    /// Another suite or drill may run for hours, and this one be refused twice a minute meanwhile.
    fn ended_by_itself(&self, status: ExitStatus, is_told: bool) {
        if is_refused(status) && !is_told {
            debug!("another suite or drill runs");
            return;
        }
        warn!(%status, log = "logs/drills.log", "the suite ended by itself");
        let why = format!("it ended by itself, {status}: see logs/drills.log");
        self.turn(Kind::SuiteLetGo, &why);
    }

    fn turn(&self, kind: Kind, reason: &str) {
        let evidence = format!("the suite {}", self.rehearsals.suite);
        self.log.write_rehearsal(&Rehearsal { kind, reason: reason.to_owned(), evidence });
    }
}

fn is_refused(status: ExitStatus) -> bool {
    status.code() == Some(i32::from(REFUSED))
}
