//! Keeps the site in the role the cell's activation gives it.
//!
//! One task owns PostgreSQL. Anything that takes long (opening an epoch, handing over, cloning) is a
//! piece of work that is polled beside the calls of other processes, and dropped as soon as the
//! activation asks for something else. What is dropped has left nothing that the next role does not
//! check for itself.

mod abandon;
mod claim;
mod come_back;
mod follow;
mod hand_over;
mod join;
mod open;
mod record;
mod serve;
mod stay_out;
mod vote;
mod work;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use client::etcd::Written;
use runtime::clock::BootTime;
use runtime::{Board, HttpClient};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::snapshot::RoutedCell;
use topology::wire::agent::HandOverReply;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::{Activation, Epoch, Place};
use tracing::{info, warn};

use super::ballot::Ballot;
use super::calls::Call;
use super::decide::role::{Own, Role, role};
use super::decide::tenure::{Event, Tenure};
use super::postgres::{Position, Postgres, Stop};
use super::right;
use super::shared::{Known, Shared};
use crate::config::Site;
use crate::defect;

use work::{Done, Telling, Work, finish};

/// How often the site is looked at without any news: PostgreSQL does not announce that it died.
const TICK: Duration = Duration::from_millis(50);
/// Pause after a piece of work failed, so that a standing problem is not hammered.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a site tries to open an epoch before it asks for another active site: what has failed
/// so often, on a disk that is full or damaged, fails again. That the server ended by itself counts as a try.
const OPEN_TRIES: u32 = 3;
/// How long PostgreSQL may take to stop when the site is asked to stop.
const LEAVE: Duration = Duration::from_secs(5);

/// What the keeper and its pieces of work share.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) site: Arc<Site>,
    pub(crate) etcd: Etcd,
    pub(crate) http: HttpClient,
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) shared: Arc<Shared>,
}

/// A planned move that this site handed over.
#[derive(Clone, Copy)]
struct Stopped {
    epoch: Epoch,
    end: End,
    /// Where this site came to; not of one that has more than it handed over.
    place: Option<Place>,
    at: Instant,
}

/// How far what was acknowledged here goes.
#[derive(Clone, Copy)]
enum End {
    /// PostgreSQL's last checkpoint begins there.
    Clean(Position),
    /// PostgreSQL had flushed so much when the gate was closed.
    Flushed(Position),
}

/// A vote that this site gave.
#[derive(Clone, Copy)]
struct Frozen {
    epoch: Epoch,
    /// Where this site had come to.
    place: Place,
    /// Before the vote was sent.
    at: BootTime,
}

impl Frozen {
    /// Whether it is the vote by which this site became the active one.
    fn elected(&self, activation: &Activation) -> bool {
        self.epoch.next() == activation.epoch && activation.elected_at == Some(self.place)
    }
}

pub(crate) struct Keeper {
    tools: Tools,
    ballot: Ballot,
    calls: mpsc::Receiver<Call>,
    board: Board,
    work: Option<Work>,
    not_before: Instant,
    serving: Option<Epoch>,
    /// When it was noticed that the right had run out, until the site serves again.
    lapsed: Option<Instant>,
    /// The last planned move this site handed over.
    stopped: Option<Stopped>,
    /// The last vote, as long as nothing has moved since.
    frozen: Option<Frozen>,
    /// Who waits for a hand-over to end.
    waiting: Vec<oneshot::Sender<HandOverReply>>,
    stream: follow::Stream,
    /// How often in a row this site could not open the epoch.
    failed: (Epoch, u32),
}

impl Keeper {
    #[must_use]
    pub(crate) fn new(
        tools: Tools,
        ballot: Ballot,
        calls: mpsc::Receiver<Call>,
        board: Board,
    ) -> Self {
        Self {
            tools,
            ballot,
            calls,
            board,
            work: None,
            not_before: Instant::now(),
            serving: None,
            lapsed: None,
            stopped: None,
            frozen: None,
            waiting: Vec::new(),
            stream: follow::Stream::default(),
            failed: (Epoch(0), 0),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut known = self.tools.shared.known.subscribe();
        let mut lapsed = self.tools.shared.lapsed.subscribe();
        while !stop.is_cancelled() {
            self.notice_what_ended().await;
            let latest = known.borrow_and_update().clone();
            if let Some(latest) = latest {
                self.take_part(latest).await;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(call) = self.calls.recv() => self.answer(call).await,
                changed = known.changed() => changed?,
                changed = lapsed.changed() => changed?,
                done = finish(&mut self.work) => self.finished(done).await,
                () = tokio::time::sleep(TICK) => {}
            }
        }
        self.leave().await
    }

    /// The right may have run out, or the database may have died, without anybody saying so here.
    async fn notice_what_ended(&mut self) {
        let Some(epoch) = self.serving else { return };
        if *self.tools.shared.lapsed.borrow() >= epoch {
            self.lapsed = Some(Instant::now());
            self.end_serving(Event::Lapsed).await;
        } else if !self.tools.postgres.is_running() && !self.is_at_work_on_postgres() {
            warn!(%epoch, "PostgreSQL ended by itself");
            // What ended it may keep it from starting: that was the first of the tries to open the next epoch.
            self.failed = (epoch.next(), 1);
            self.end_serving(Event::Lapsed).await;
        }
    }

    /// Whether a piece of work starts and stops the server as it needs.
    fn is_at_work_on_postgres(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !matches!(work.role, Role::Serve { .. }))
    }

    /// The epoch that a piece of work is opening.
    fn opening(&self) -> Option<Epoch> {
        let Role::Open { epoch } = self.work.as_ref()?.role else { return None };
        Some(epoch)
    }

    /// Does the next thing towards the role, or leaves the work that is already doing it alone.
    async fn take_part(&mut self, known: Known) {
        let own = Own {
            serving: self.serving,
            opening: self.opening(),
            voted: self.tools.shared.voter().voted(),
            primary: self.tools.postgres.is_running() && self.tools.postgres.was_primary(),
            standby: self.tools.postgres.is_standby(),
        };
        let role = role(known.activation(), &self.tools.site.id.region, own);
        if self.work.as_ref().is_some_and(|work| work.role == role) {
            // Voters may leave under the same epoch; who serves already sees to that itself.
            if matches!(role, Role::Open { .. }) {
                self.tools.shared.standing.send_if_modified(|standing| standing.catch_up(&known));
            }
            return;
        }
        let is_leaving = self.work.as_ref().is_some_and(|work| work.leaving);
        if is_leaving && matches!(role, Role::Follow { .. }) {
            return;
        }
        if self.work.take().is_some() {
            info!(%role, "work dropped for another role");
        }
        if Instant::now() < self.not_before {
            return;
        }
        defect::hear_late(self.serving.is_some(), &role).await;
        match &role {
            Role::Wait => {}
            Role::Serve { epoch } => {
                let work = serve::serve(self.tools.clone(), *epoch);
                self.begin(role, false, work);
            }
            Role::StepDown => self.step_down().await,
            Role::Reopen => self.come_back(&known).await,
            Role::Open { epoch } if self.failed == (*epoch, OPEN_TRIES) => {
                let reason = format!("{} cannot open epoch {epoch}", self.tools.site.id);
                self.give_up(&known, &reason).await;
            }
            // What it would open now would be fenced as soon as it was.
            Role::Open { epoch } if *self.tools.shared.lapsed.borrow() >= *epoch => {
                self.lapsed.get_or_insert_with(Instant::now);
                self.come_back(&known).await;
            }
            Role::Open { epoch } => {
                self.claim(*epoch, &known);
                let work = open::open(self.tools.clone(), known);
                self.begin(role, false, work);
            }
            Role::HandOver { epoch } => {
                if self.stopped.is_none_or(|stopped| stopped.epoch != *epoch) {
                    self.keep_claim(&known);
                    self.become_tenure(Event::DrainAsked);
                    let work = hand_over::hand_over(self.tools.clone(), *epoch);
                    self.begin(role, false, work);
                }
            }
            Role::Follow { .. } => self.follow(role, known.activation()).await,
            Role::StayOut { epoch } => self.stay_out(*epoch).await,
        }
    }

    fn begin(
        &mut self,
        role: Role,
        rebuilding: bool,
        work: impl Future<Output = anyhow::Result<Done>> + Send + 'static,
    ) {
        self.work = Some(Work { role, future: Box::pin(work), rebuilding, leaving: false });
    }

    async fn finished(&mut self, (work, done): (Work, anyhow::Result<Done>)) {
        let Work { role, rebuilding, leaving, .. } = work;
        let result = done.as_ref().map(|_| ()).map_err(|err| format!("{err:#}"));
        if let (true, Err(error)) = (self.board.record("keep the role", result.clone()), result) {
            warn!(%role, error, "role not kept");
        }
        match done {
            Ok(Done::Opened { known, strong }) => self.opened(*known, strong),
            Ok(Done::Stopped { epoch, checkpoint, told }) => {
                self.handed_over(epoch, checkpoint, told);
            }
            Ok(Done::Abandoned { epoch, flushed }) => self.abandoned(epoch, flushed).await,
            Ok(Done::Joined { told, history }) => self.joined(told, history),
            Ok(Done::Following | Done::Left) => {}
            Ok(Done::SourceAsked { answers }) => self.source_asked(role, answers),
            Ok(Done::Apart) => self.is_apart(&role),
            Ok(Done::Rebuilt) => {
                self.tools.shared.not_kept.send_replace(None);
                self.frozen = None;
                self.stream.was_rebuilt();
            }
            Ok(Done::NotKept(reason)) => self.could_not_keep(reason),
            Ok(Done::NotYet) => self.not_before = Instant::now() + PAUSE,
            Err(err) => {
                self.not_before = Instant::now() + PAUSE;
                match role {
                    // It was handed over before; the site will have to be rebuilt.
                    Role::HandOver { .. } if leaving => {}
                    Role::HandOver { .. } => {
                        self.end_serving(Event::Lapsed).await;
                        let reason = format!("{err:#}");
                        // What was committed may be in an answer until the gateway knows.
                        let is_over = !self.tools.postgres.is_running()
                            && abandon::gateway_knows(&self.tools).await.is_ok();
                        let reply = if is_over {
                            HandOverReply::Ended { reason }
                        } else {
                            HandOverReply::Refused { reason }
                        };
                        self.reply_hand_over(&reply);
                    }
                    // The gate may have been opened just before the record could not be changed.
                    Role::Open { epoch } => {
                        let times = if self.failed.0 == epoch { self.failed.1 + 1 } else { 1 };
                        self.failed = (epoch, times);
                        self.end_serving(Event::Lapsed).await;
                    }
                    Role::Follow { .. } if rebuilding => self.stream.was_rebuilt(),
                    Role::Follow { .. } => self.cannot_start(),
                    Role::Serve { .. }
                    | Role::StayOut { .. }
                    | Role::Reopen
                    | Role::Wait
                    | Role::StepDown => {}
                }
            }
        }
    }

    fn opened(&mut self, known: Known, strong: bool) {
        let epoch = known.activation().epoch;
        self.serving = Some(epoch);
        self.lapsed = None;
        self.stopped = None;
        self.tools.shared.standing.send_modify(|standing| {
            standing.follow(&known);
            standing.tenure = standing.tenure.after(Event::Granted).unwrap_or(Tenure::Serving);
            standing.epoch = epoch;
            standing.open = strong;
            standing.strong = strong;
        });
        self.tools.shared.not_kept.send_replace(None);
        info!(%epoch, strong, "serving");
        self.tools.shared.learn(known);
    }

    fn handed_over(&mut self, epoch: Epoch, checkpoint: Position, told: Option<Telling>) {
        let place = self.tools.postgres.located(checkpoint);
        let end = End::Clean(checkpoint);
        self.stopped = Some(Stopped { epoch, end, place, at: Instant::now() });
        let claim = self.close_gate(Event::Drained);
        info!(%epoch, ?checkpoint, "handed over");
        // Users wait: what has not been sent yet comes to the target while it is asked for its vote.
        self.reply_hand_over(&stopped(end));
        let work = hand_over::end(self.tools.clone(), told, claim);
        self.begin(Role::HandOver { epoch }, false, work);
        self.work.iter_mut().for_each(|work| work.leaving = true);
    }

    /// The gate was closed, and the gateway knew, before it was settled what is handed over: nobody waits for
    /// processes that end only when the disk lets them.
    async fn abandoned(&mut self, epoch: Epoch, flushed: Position) {
        let end = End::Flushed(flushed);
        self.stopped = Some(Stopped { epoch, end, place: None, at: Instant::now() });
        let claim = self.close_gate(Event::Superseded);
        info!(%epoch, ?flushed, "handed over without a clean stop");
        self.reply_hand_over(&stopped(end));
        if let Some(claim) = claim {
            right::release(&self.tools.site, &self.tools.http, &claim).await;
        }
        let tools = self.tools.clone();
        self.begin(Role::HandOver { epoch }, false, async move {
            tools.postgres.stop(Stop::Immediate, LEAVE).await?;
            Ok(Done::Left)
        });
    }

    fn reply_hand_over(&mut self, reply: &HandOverReply) {
        for waiting in self.waiting.drain(..) {
            // Whoever asked may have given up; the next election asks again.
            drop(waiting.send(reply.clone()));
        }
    }

    /// The activation says that somebody else decides now: stop at once. What the voters promised runs
    /// out by itself, because the database was still running when the gate was closed.
    async fn step_down(&mut self) {
        self.end_serving(Event::Superseded).await;
        if let Err(err) = self.tools.postgres.stop(Stop::Immediate, LEAVE).await {
            warn!(error = format!("{err:#}"), "PostgreSQL not stopped");
        }
        info!("stepped down");
    }

    /// A standby that ends while starting has data that does not fit: it is rebuilt.
    fn cannot_start(&mut self) {
        self.stream.could_not_start();
        if let Err(err) = self.tools.postgres.mark_out_of_line() {
            warn!(error = format!("{err:#}"), "rebuild not noted");
        }
    }

    /// The process is asked to stop: finish quickly and cleanly, and hand nothing over.
    async fn leave(&mut self) -> anyhow::Result<()> {
        self.work = None;
        self.end_serving(Event::Superseded).await;
        if self.tools.postgres.is_running() {
            self.tools.postgres.stop(Stop::Fast, LEAVE).await.context("stop PostgreSQL")?;
        }
        info!("PostgreSQL stopped");
        Ok(())
    }
}

fn stopped(end: End) -> HandOverReply {
    match end {
        End::Clean(Position { timeline, lsn }) => {
            HandOverReply::Stopped { timeline, checkpoint: lsn }
        }
        End::Flushed(Position { timeline, lsn }) => {
            HandOverReply::Abandoned { timeline, flushed: lsn }
        }
    }
}

/// Replaces the cell's record if it is still the known one; `None` if somebody else was first.
async fn change(
    tools: &Tools,
    known: &Known,
    activation: Activation,
) -> anyhow::Result<Option<Known>> {
    let cell = RoutedCell { activation, gateways: known.cell.gateways.clone() };
    let value = serde_json::to_vec(&CellRecord::from(&cell)).context("write the cell's record")?;
    let key = key::cell(&tools.site.id.cell);
    let written = tools.etcd.swap(&key, &value, &[(&key, known.revision)]).await;
    let written = written.context("change the cell's record")?;
    Ok(written.map(|Written { revision, version }| Known { cell, revision, version }))
}
