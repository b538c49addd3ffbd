//! Keeps the site in the role the activation gives it: `cell::agent::keep`.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use cell::agent::decide::right::{Right, lasts_from_vote};
use cell::agent::decide::role::{Own, Role, role};
use cell::agent::decide::tenure::{Event, Tenure};
use client::etcd::PutIf;
use runtime::clock::BootTime;
use tokio::sync::mpsc;
use topology::snapshot::RoutedCell;
use topology::wire::agent::HandOverReply;
use topology::{Activation, Cause, Epoch, Phase};

use super::super::etcd::{Expected, Put};
use super::super::net::Reply;
use super::super::pg::{Pg, Stop};
use super::super::sabotage::Sabotage;
use super::super::{Proc, Sim};
use super::calls::Call;
use super::follow::Stream;
use super::{Claim, Known, Shared, Standing, abandon, follow, hand_over, open, right, serve};

const TICK: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(300);
const OPEN_TRIES: u32 = 3;
const LEAVE: Duration = Duration::from_secs(5);

pub type Failure = &'static str;

#[derive(Clone)]
pub struct Tools {
    pub proc: Proc,
    pub site: usize,
    pub shared: Rc<Shared>,
}

impl Tools {
    #[must_use]
    pub fn sim(&self) -> &Rc<Sim> {
        &self.proc.sim
    }

    #[must_use]
    pub fn pg(&self) -> &Pg {
        self.sim().pg(self.site)
    }
}

pub enum Done {
    Opened { known: Known, strong: bool },
    Stopped { epoch: Epoch, checkpoint: (u32, u64) },
    Abandoned { epoch: Epoch, flushed: (u32, u64) },
    Following,
}

pub struct Work {
    role: Role,
    future: Pin<Box<dyn Future<Output = Result<Done, Failure>>>>,
    pub rebuilding: bool,
    leaving: bool,
}

pub struct Keeper {
    pub tools: Tools,
    calls: mpsc::Receiver<Call>,
    pub work: Option<Work>,
    not_before: BootTime,
    pub serving: Option<Epoch>,
    /// What was answered, and for which epoch.
    pub stopped: Option<(Epoch, HandOverReply)>,
    pub waiting: Vec<Reply<HandOverReply>>,
    pub stream: Stream,
    failed: (Epoch, u32),
    /// The last vote, and when it was given.
    pub voted: Option<(Epoch, BootTime)>,
}

impl Keeper {
    #[must_use]
    pub fn new(tools: Tools, calls: mpsc::Receiver<Call>) -> Self {
        Self {
            tools,
            calls,
            work: None,
            not_before: BootTime::default(),
            serving: None,
            stopped: None,
            waiting: Vec::new(),
            stream: Stream::default(),
            failed: (Epoch(0), 0),
            voted: None,
        }
    }

    pub async fn run(mut self) {
        let proc = self.tools.proc.clone();
        let mut known = self.tools.shared.known.subscribe();
        let mut lapsed = self.tools.shared.lapsed.subscribe();
        loop {
            self.notice_what_ended().await;
            let latest = known.borrow_and_update().clone();
            if let Some(latest) = latest {
                self.take_part(latest).await;
            }
            tokio::select! {
                biased;
                Some(call) = self.calls.recv() => self.answer(call).await,
                () = known.changed() => {}
                () = lapsed.changed() => {}
                done = finish(&mut self.work) => self.finished(done).await,
                () = proc.sleep(TICK) => {}
            }
        }
    }

    async fn notice_what_ended(&mut self) {
        let Some(epoch) = self.serving else { return };
        let lapsed = *self.tools.shared.lapsed.borrow();
        if lapsed >= epoch {
            self.end_serving(Event::Lapsed).await;
        } else if !self.tools.pg().is_running() && !self.is_at_work_on_postgres() {
            self.failed = (epoch.next(), 1);
            self.end_serving(Event::Lapsed).await;
        }
    }

    fn is_at_work_on_postgres(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !matches!(work.role, Role::Serve { .. }))
    }

    /// The epoch that a piece of work is opening.
    fn opening(&self) -> Option<Epoch> {
        let Role::Open { epoch } = self.work.as_ref()?.role else { return None };
        Some(epoch)
    }

    async fn take_part(&mut self, known: Known) {
        let own = Own {
            serving: self.serving,
            opening: self.opening(),
            voted: self.tools.shared.voter.borrow().voted(),
            primary: self.tools.pg().is_running() && self.tools.pg().was_primary(),
            standby: self.tools.pg().is_standby(),
        };
        let me = &self.tools.sim().sites[self.tools.site].region;
        let role = role(known.activation(), me, own);
        if self.work.as_ref().is_some_and(|work| work.role == role) {
            return;
        }
        let is_leaving = self.work.as_ref().is_some_and(|work| work.leaving);
        if is_leaving && matches!(role, Role::Follow { .. }) {
            return;
        }
        self.work = None;
        if self.tools.proc.now() < self.not_before {
            return;
        }
        match &role {
            Role::Wait => {}
            Role::Serve { epoch } => {
                let work = serve::serve(self.tools.clone(), *epoch);
                self.begin(role, false, work);
            }
            Role::StepDown => self.step_down().await,
            Role::Reopen => self.reopen(&known).await,
            Role::Open { epoch } if self.failed == (*epoch, OPEN_TRIES) => {
                let reason = format!("{} cannot open epoch {epoch}", self.tools.site);
                self.give_up(&known, &reason).await;
            }
            Role::Open { epoch } if *self.tools.shared.lapsed.borrow() >= *epoch => {
                self.reopen(&known).await;
            }
            Role::Open { epoch } => {
                self.claim(*epoch, &known);
                let work = open::open(self.tools.clone(), known);
                self.begin(role, false, work);
            }
            Role::HandOver { epoch } => {
                if self.stopped.as_ref().is_none_or(|(stopped, _)| stopped != epoch) {
                    self.keep_claim(&known);
                    self.become_tenure(Event::DrainAsked);
                    let work = hand_over::hand_over(self.tools.clone(), *epoch);
                    self.begin(role, false, work);
                }
            }
            Role::Follow { .. } => self.follow(role).await,
            Role::StayOut { epoch } => follow::stay_out(self, *epoch).await,
        }
    }

    pub fn begin(
        &mut self,
        role: Role,
        rebuilding: bool,
        work: impl Future<Output = Result<Done, Failure>> + 'static,
    ) {
        let tools = &self.tools;
        tools.sim().trace(|| format!("{}: {role}", tools.sim().name(tools.site)));
        self.work = Some(Work { role, future: Box::pin(work), rebuilding, leaving: false });
    }

    async fn finished(&mut self, (work, done): (Work, Result<Done, Failure>)) {
        let Work { role, rebuilding, .. } = work;
        match done {
            Ok(Done::Opened { known, strong }) => self.opened(known, strong),
            Ok(Done::Stopped { epoch, checkpoint }) => self.handed_over(epoch, checkpoint),
            Ok(Done::Abandoned { epoch, flushed }) => self.abandoned(epoch, flushed).await,
            Ok(Done::Following) => {}
            Err(why) => {
                let tools = &self.tools;
                tools.sim().trace(|| format!("{}: {role}: {why}", tools.sim().name(tools.site)));
                self.not_before = self.tools.proc.now() + PAUSE;
                match role {
                    Role::HandOver { .. } => {
                        self.end_serving(Event::Lapsed).await;
                        let reason = why.to_owned();
                        let is_over = !self.tools.pg().is_running()
                            && abandon::gateway_knows(&self.tools).await.is_ok();
                        let reply = if is_over {
                            HandOverReply::Ended { reason }
                        } else {
                            HandOverReply::Refused { reason }
                        };
                        self.reply_hand_over(&reply);
                    }
                    Role::Open { epoch } => {
                        let times = if self.failed.0 == epoch { self.failed.1 + 1 } else { 1 };
                        self.failed = (epoch, times);
                        self.end_serving(Event::Lapsed).await;
                    }
                    Role::Follow { .. } if !rebuilding => self.cannot_start(),
                    Role::Follow { .. }
                    | Role::Serve { .. }
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
        self.stopped = None;
        self.tools.shared.standing.send_modify(|standing| {
            if let Some(claim) = &mut standing.claim {
                claim.revision = known.revision;
            }
            standing.tenure = standing.tenure.after(Event::Granted).unwrap_or(Tenure::Serving);
            standing.epoch = epoch;
            standing.open = strong;
            standing.strong = strong;
        });
        self.tools.shared.learn(known);
    }

    fn handed_over(&mut self, epoch: Epoch, (timeline, checkpoint): (u32, u64)) {
        let reply = HandOverReply::Stopped { timeline, checkpoint };
        self.stopped = Some((epoch, reply.clone()));
        let claim = self.close_gate(Event::Drained);
        self.reply_hand_over(&reply);
        let work = hand_over::end(self.tools.clone(), claim);
        self.begin(Role::HandOver { epoch }, false, work);
        self.work.iter_mut().for_each(|work| work.leaving = true);
    }

    async fn abandoned(&mut self, epoch: Epoch, (timeline, flushed): (u32, u64)) {
        let reply = HandOverReply::Abandoned { timeline, flushed };
        self.stopped = Some((epoch, reply.clone()));
        let claim = self.close_gate(Event::Superseded);
        self.reply_hand_over(&reply);
        if let Some(claim) = claim {
            right::release(&self.tools, &claim).await;
        }
        let tools = self.tools.clone();
        self.begin(Role::HandOver { epoch }, false, async move {
            let Tools { proc, site, .. } = &tools;
            proc.sim.pg_stop(proc, *site, Stop::Immediate, LEAVE).await;
            Ok(Done::Following)
        });
    }

    pub fn reply_hand_over(&mut self, reply: &HandOverReply) {
        for waiting in self.waiting.drain(..) {
            waiting.send(reply.clone());
        }
    }

    async fn step_down(&mut self) {
        self.end_serving(Event::Superseded).await;
        let Tools { proc, site, .. } = &self.tools;
        proc.sim.pg_stop(proc, *site, Stop::Immediate, LEAVE).await;
    }

    fn cannot_start(&mut self) {
        self.stream.could_not_start();
        self.tools.pg().mark_primary();
    }

    fn close_gate(&mut self, event: Event) -> Option<Claim> {
        self.serving = None;
        close_gate(&self.tools.shared, event)
    }

    pub async fn end_serving(&mut self, event: Event) {
        let claim = self.close_gate(event);
        if let Some(claim) = claim.filter(|_| !self.tools.pg().is_running()) {
            right::release(&self.tools, &claim).await;
        }
    }

    fn become_tenure(&self, event: Event) {
        self.tools.shared.standing.send_modify(|standing| {
            standing.tenure = standing.tenure.after(event).unwrap_or(standing.tenure);
        });
    }

    fn claim(&mut self, epoch: Epoch, known: &Known) {
        self.serving = None;
        let claim = Claim {
            epoch,
            revision: known.revision,
            voters: known.activation().voters.clone(),
            acks: known.activation().acks,
        };
        let (sim, now) = (self.tools.sim(), self.tools.proc.now());
        sim.check_epoch(self.tools.site, epoch);
        let won = self.voted.filter(|(voted, _)| voted.next() == epoch).map(|(_, at)| at);
        let won = if sim.sabotaged(Sabotage::RightFromTheRecord) { won.map(|_| now) } else { won };
        let won = won.filter(|at| lasts_from_vote(*at, now, &sim.policy));
        self.tools.shared.right.send_modify(|right| {
            if right.epoch() != epoch {
                *right = Right::new(epoch);
            }
            if let Some(at) = won {
                right.elected(at, &sim.policy);
            }
        });
        self.tools.shared.standing.send_modify(|standing| {
            *standing = Standing {
                tenure: Tenure::Standby,
                epoch,
                open: false,
                strong: false,
                claim: Some(claim),
            };
        });
    }

    fn keep_claim(&mut self, known: &Known) {
        self.tools.shared.standing.send_modify(|standing| {
            if let Some(claim) = &mut standing.claim {
                claim.revision = known.revision;
            }
        });
    }

    async fn reopen(&mut self, known: &Known) {
        let mut next = known.activation().clone();
        next.epoch = next.epoch.next();
        let region = self.tools.sim().sites[self.tools.site].region.clone();
        next.reason = format!("{region} came back in place");
        next.phase = Phase::Promoting { active: region };
        match change(&self.tools, known, next).await {
            Ok(Some(known)) => self.tools.shared.learn(known),
            Ok(None) => self.refresh(),
            Err(_unanswered) => self.not_before = self.tools.proc.now() + PAUSE,
        }
    }

    async fn give_up(&mut self, known: &Known, reason: &str) {
        let has_stopped = !self.tools.pg().is_running()
            && (self.tools.sim().sabotaged(Sabotage::HandedOverBeforeTheGatewayKnows)
                || abandon::gateway_knows(&self.tools).await.is_ok());
        let failure =
            if has_stopped { topology::Failure::GaveUp } else { topology::Failure::SiteLost };
        self.not_before = self.tools.proc.now() + PAUSE;
        let next = known.activation().elect(reason).because(Cause::failure(failure));
        if change(&self.tools, known, next).await.is_err() {
            self.tools.sim().trace(|| "election not asked for".to_owned());
        }
        self.refresh();
    }

    fn refresh(&self) {
        self.tools.sim().sites[self.tools.site].refresh.notify_one();
    }

    async fn follow(&mut self, role: Role) {
        follow::follow(self, role).await;
    }
}

async fn finish(work: &mut Option<Work>) -> (Work, Result<Done, Failure>) {
    loop {
        let Some(running) = work else { return std::future::pending().await };
        let result = running.future.as_mut().await;
        if let Some(finished) = work.take() {
            return (finished, result);
        }
    }
}

/// Replaces the cell's record if it is still the known one; `None` if somebody else was first.
/// From now on nothing is acknowledged here. Returns the claim that was held.
pub fn close_gate(shared: &Shared, event: Event) -> Option<Claim> {
    let mut claim = None;
    shared.standing.send_modify(|standing| {
        claim = standing.claim.take();
        standing.tenure = standing.tenure.after(event).unwrap_or(standing.tenure);
        standing.open = false;
        standing.strong = false;
    });
    claim
}

pub async fn change(
    tools: &Tools,
    known: &Known,
    activation: Activation,
) -> Result<Option<Known>, Failure> {
    let cell = Rc::new(RoutedCell { activation, gateways: known.cell.gateways.clone() });
    let expected = Expected { cell: known.revision, lease: None };
    let put = tools.sim().put_if(&tools.proc, Put::Cell(Rc::clone(&cell)), expected).await;
    match put {
        Ok(PutIf::Done { revision }) => Ok(Some(Known { cell, revision })),
        Ok(PutIf::Stale) => Ok(None),
        Err(_unanswered) => Err("change the cell's record"),
    }
}
