//! The loop that owns the state: facts in, decisions out, and at most one piece of work per cell.

mod ahead;
mod orders;
mod telling;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use runtime::Board;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use topology::{Activation, Cause, CellId, Epoch, Failure, Phase, RegionId};
use tracing::{error, warn};

use super::create;
use super::elect::{self, Outcome, Why};
use super::fail_over::Failover;
use super::hands::Hands;
use super::note::Entry as Audited;
use super::remember::Entry;
use super::switch::{self, Move, Switchover};
use crate::decide::happenings::Sight;
use crate::decide::situation::Situation;
use crate::decide::verdict::Verdict;
use crate::decide::{Action, Fact, State, decide};
use crate::decision_log::DecisionLog;
use crate::event_log::EventLog;
use crate::metrics;

/// How often decisions that time alone brings about are looked for: an order below what they wait.
const TICK: Duration = Duration::from_millis(50);
/// Pause before work on a cell that came to nothing is begun again: voters are held back by what
/// they promised, for up to one renewal longer than the lease is silent.
const AGAIN: Duration = Duration::from_millis(100);
/// The same, once it has come to nothing for longer than that.
const LATER: Duration = Duration::from_secs(1);
/// Facts folded in before the loop looks at the whole again.
const BATCH: usize = 256;
/// How long etcd may be unread before this process says that it is not ready.
const READY: Duration = Duration::from_secs(5);

/// Looking at the whole may take one part in so many of the loop's time: the rest is for facts, of which
/// many cells send thousands a second, and for work.
const LOOKING: u32 = 2;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a person asks for.
pub enum Order {
    Switchover(Switchover),
    Failover(Failover),
}

/// A piece of work that has ended; without a cell it was about the placement.
struct Done {
    cell: Option<CellId>,
    /// A person asked for it.
    ordered: bool,
    /// What an election came to; nothing for what was only created.
    outcome: anyhow::Result<Option<Outcome>>,
}

/// Owns the state, and everything that is begun because of it.
pub struct Control {
    hands: Hands,
    out: watch::Sender<Arc<State>>,
    log: EventLog,
    decisions: DecisionLog,
    memories: mpsc::Sender<Entry>,
    board: Board,
    state: State,
    sight: Option<Sight>,
    work: FuturesUnordered<Work<Done>>,
    /// Work that is going on, or may not be begun again before a time.
    busy: BTreeMap<Option<CellId>, Busy>,
    /// What was last decided about each cell: told once per epoch, not per try.
    told: BTreeMap<CellId, (Epoch, &'static str)>,
    /// What voters were asked a little before it was due.
    ahead: ahead::Ahead,
    /// Cells whose voters would elect nobody, since when, and whether that was told.
    stuck: BTreeMap<CellId, Stuck>,
    judged: Option<Instant>,
    /// What was last made of each cell's active site.
    verdicts: BTreeMap<CellId, Verdict>,
    /// What was last to be remembered of each; nothing of those that are as usual.
    situations: BTreeMap<CellId, Situation>,
    /// Automatic moves in the audit log whose outcome is not in it yet.
    audits: BTreeMap<CellId, Audited>,
    notes: FuturesUnordered<Work<()>>,
    /// Sites this process has promoted, until they have opened their epoch.
    promoted: BTreeMap<CellId, (RegionId, Epoch, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Stuck {
    epoch: Epoch,
    since: Instant,
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    Working,
    /// A person asked for what is going on. Work that was begun before gives way: its next write
    /// finds the record changed.
    Ordered,
    Until(Instant),
}

impl Control {
    #[must_use]
    pub fn new(
        hands: Hands,
        out: watch::Sender<Arc<State>>,
        log: EventLog,
        decisions: DecisionLog,
        memories: mpsc::Sender<Entry>,
        board: Board,
    ) -> Self {
        board.condition("etcd", Err("not read yet".to_owned()));
        Self {
            hands,
            out,
            log,
            decisions,
            memories,
            board,
            state: State::default(),
            sight: None,
            work: FuturesUnordered::new(),
            busy: BTreeMap::new(),
            told: BTreeMap::new(),
            ahead: ahead::Ahead::default(),
            stuck: BTreeMap::new(),
            judged: None,
            verdicts: BTreeMap::new(),
            situations: BTreeMap::new(),
            audits: BTreeMap::new(),
            notes: FuturesUnordered::new(),
            promoted: BTreeMap::new(),
        }
    }

    /// Runs until stopped. Work that is going on then is left to the other control planes.
    pub async fn run(
        mut self,
        mut facts: mpsc::Receiver<Fact>,
        mut orders: mpsc::Receiver<Order>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let (mut look_at, mut unseen) = (Instant::now(), false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = facts.recv_many(&mut batch, BATCH) => {}
                Some(order) = orders.recv() => self.ordered(order),
                Some(done) = self.work.next() => self.done(done),
                Some(word) = self.ahead.answered() => self.ahead.took(&word),
                () = sleep_until(look_at), if unseen => {}
                Some(()) = self.notes.next() => {}
                _ = ticks.tick() => {}
            }
            let now = Instant::now();
            for fact in batch.drain(..) {
                self.learn(fact, now);
            }
            unseen = now < look_at;
            if unseen {
                continue;
            }
            self.publish(now);
            for action in decide(&self.state, &self.hands.policy, now) {
                self.begin(action, now);
            }
            self.ask_ahead(now);
            let took = now.elapsed();
            metrics::looked(took);
            look_at = Instant::now() + took * (LOOKING - 1);
        }
    }

    fn learn(&mut self, fact: Fact, now: Instant) {
        let about = fact.cell().cloned();
        let violations = self.state.saw(fact, now);
        for violation in &violations {
            metrics::violated(violation);
            error!(invariant = %violation.invariant, witness = violation.witness, "violated");
        }
        // After each fact, so that none of a cell's steps goes untold because two came at once.
        match (about, &mut self.sight) {
            (Some(cell), Some(sight)) => {
                let news = sight.look_again(&cell, &self.state, &self.hands.policy, now);
                for happening in &news {
                    self.write(happening);
                }
            }
            (None, _) | (Some(_), None) => self.look(now),
        }
    }

    fn publish(&mut self, now: Instant) {
        self.look(now);
        self.judge(now);
        self.opened(now);
        self.out.send_replace(Arc::new(self.state.clone()));
        let etcd = match self.state.read_at() {
            Some(at) if now - at < READY => Ok(()),
            Some(at) => Err(format!("last read {} s ago", (now - at).as_secs())),
            None => Err("not read yet".to_owned()),
        };
        self.board.condition("etcd", etcd);
    }

    fn begin(&mut self, action: Action, now: Instant) {
        let (subject, epoch) = match &action {
            Action::CreatePlacement => (None, None),
            Action::CreateCell { cell } => (Some(cell.clone()), None),
            Action::TakeOver { cell, epoch, .. }
            | Action::PickUp { cell, epoch, .. }
            | Action::Restore { cell, epoch, .. }
            | Action::Relieve { cell, epoch, .. }
            | Action::Freeze { cell, epoch, .. } => (Some(cell.clone()), Some(*epoch)),
        };
        match self.busy.get(&subject) {
            Some(Busy::Working | Busy::Ordered) => return,
            Some(Busy::Until(time)) if now < *time => return,
            Some(Busy::Until(_)) | None => {}
        }
        self.tell(&action, subject.as_ref().zip(epoch), now);
        let Some(work) = self.work_for(action) else { return };
        let cell = subject.clone();
        self.busy.insert(subject, Busy::Working);
        self.work.push(Box::pin(async move { Done { cell, ordered: false, outcome: work.await } }));
    }

    fn work_for(&self, action: Action) -> Option<Work<anyhow::Result<Option<Outcome>>>> {
        let hands = self.hands.clone();
        match action {
            Action::CreatePlacement => {
                Some(Box::pin(async move { create::placement(&hands).await.map(|()| None) }))
            }
            Action::CreateCell { cell } => {
                Some(Box::pin(async move { create::cell(&hands, &cell).await.map(|()| None) }))
            }
            Action::TakeOver { cell, epoch, reason, .. } => {
                let seen = self.state.cells().get(&cell)?.clone();
                let begun = Instant::now();
                let why = Why { reason, cause: cause_of_take_over(&seen.routed.activation) };
                let is_willing = self.ahead.is_willing(&cell, epoch, begun);
                Some(Box::pin(async move {
                    let outcome = if is_willing {
                        elect::take_over_willing(&hands, &cell, &seen, &why, None, begun).await
                    } else {
                        elect::take_over(&hands, &cell, &seen, &why, None).await
                    };
                    Ok(Some(outcome))
                }))
            }
            Action::PickUp { cell, reason, .. } => {
                let seen = self.state.cells().get(&cell)?.clone();
                let why = Why { reason, cause: None };
                Some(Box::pin(async move {
                    Ok(Some(elect::elect(&hands, &cell, &seen, &why, None).await))
                }))
            }
            Action::Restore { cell, reason, .. } => {
                let seen = self.state.cells().get(&cell)?.clone();
                let why = Why { reason, cause: Some(Cause::failure(Failure::EtcdWentBack)) };
                Some(Box::pin(
                    async move { Ok(Some(elect::restore(&hands, &cell, &seen, &why).await)) },
                ))
            }
            Action::Relieve { cell, from, to, reason, .. } => {
                let seen = self.state.cells().get(&cell)?.clone();
                let cause = Cause::failure(Failure::SiteGray);
                let planned = Move { cell, seen, from, to, reason, cause };
                Some(Box::pin(async move {
                    // Nobody waits for the answer: what comes of it is seen.
                    let (reply, _answer) = oneshot::channel();
                    Ok(Some(switch::switch(&hands, &planned, reply).await))
                }))
            }
            Action::Freeze { .. } => None,
        }
    }

    fn is_busy(&self, cell: &CellId) -> bool {
        match self.busy.get(&Some(cell.clone())) {
            Some(Busy::Working | Busy::Ordered) => true,
            Some(Busy::Until(_)) | None => false,
        }
    }

    fn carry_out(&mut self, cell: CellId, work: impl Future<Output = Outcome> + Send + 'static) {
        let cell = Some(cell);
        self.busy.insert(cell.clone(), Busy::Ordered);
        self.work.push(Box::pin(async move {
            Done { cell, ordered: true, outcome: Ok(Some(work.await)) }
        }));
    }

    fn done(&mut self, done: Done) {
        let Done { cell, ordered, outcome } = done;
        let now = Instant::now();
        let mut pause = AGAIN;
        if let (Some(cell), Ok(Some(outcome)), false) = (&cell, &outcome, ordered) {
            self.note_outcome(cell, outcome);
        }
        match (&cell, outcome) {
            (Some(cell), Ok(Some(Outcome::Won { winner, epoch }))) => {
                self.promoted.insert(cell.clone(), (winner, epoch, now));
            }
            (Some(cell), Ok(Some(Outcome::Unwilling { why }))) => {
                if self.is_stuck(cell, &why, now) {
                    pause = LATER;
                }
            }
            (None | Some(_), Ok(_)) => {}
            (None | Some(_), Err(err)) => warn!(error = format!("{err:#}"), "will be tried again"),
        }
        // What was asked for meanwhile goes on.
        if ordered || self.busy.get(&cell) != Some(&Busy::Ordered) {
            self.busy.insert(cell, Busy::Until(now + pause));
        }
    }

    /// Notes that a cell's voters would elect nobody. Returns whether that has gone on for longer
    /// than their promises explain, and tells so once.
    fn is_stuck(&mut self, cell: &CellId, why: &str, now: Instant) -> bool {
        let seen = self.state.cells().get(cell);
        let epoch = seen.map(|seen| seen.routed.activation.epoch).unwrap_or_default();
        let fresh = Stuck { epoch, since: now, told: false };
        let stuck = self.stuck.entry(cell.clone()).or_insert(fresh);
        if stuck.epoch != epoch {
            *stuck = fresh;
        }
        if now - stuck.since < self.hands.policy.lease.patience {
            return false;
        }
        if !std::mem::replace(&mut stuck.told, true) {
            warn!(%cell, %epoch, why, "the voters would not elect a successor, asking on");
            let why = format!("the voters would not elect a successor: {why}");
            self.learn(Fact::Frozen { cell: cell.clone(), why }, now);
        }
        true
    }
}

/// What a take-over begins with. One that ends a planned move which got stuck is part of it.
fn cause_of_take_over(activation: &Activation) -> Option<Cause> {
    match activation.phase {
        Phase::Switching { .. } => None,
        Phase::Steady { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => {
            Some(Cause::failure(Failure::SiteLost))
        }
    }
}
