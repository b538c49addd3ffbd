//! Executes operations: every step is recorded before it is done and after it has ended, by
//! compare-and-swap. Any control plane goes on with an operation whose executor has fallen silent;
//! what it finds it reads from the record and the cells.
//!
//! ```text
//!  record: step goes on ──▶ carry it out ──▶ see what came of it ──▶ record: step has ended
//!          └──────────── whoever dies here leaves enough for the next one ────────────┘
//! ```
//!
//! Operations wait for each other's writes no more than for each other's moves: each has one write under way
//! at most, and a bounded number of them is at etcd at once.
//!
//! An operation that moves a single cell comes with its step recorded as going on, and is carried out at
//! once, also by another than who was asked. That waits for nothing that is written here meanwhile.

mod carry;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use client::etcd::{EtcdError, Written};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use runtime::clock;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use topology::{Cause, RegionId};
use tracing::{info, warn};

use self::carry::Carrier;
pub use self::carry::{Elections, Handover, Told};
use super::control::Order;
use super::hands::Hands;
use super::mark::{self, By};
use crate::decide::State;
use crate::decide::operation::advance::{Advance, Situation, advance, taken_over};
use crate::decide::operation::memory::{Answer, Memory, Place};
use crate::decide::operation::{Operation, What};
use crate::decide::safety;
use crate::decide::state::SeenOperation;
use crate::store::Kept;

/// How often operations are looked at: little beside a move, which takes a second.
const TICK: Duration = Duration::from_millis(50);

/// How long an operation that this process has written is kept in mind before it is read: reading takes a
/// moment, and longer while etcd elects.
const UNREAD: Duration = Duration::from_secs(5);

/// How many writes may be under way: more at once make etcd no faster, and operations seldom are as many.
const WRITES: usize = 16;

/// What is under way for an operation.
type Work = Pin<Box<dyn Future<Output = (String, Came)> + Send>>;

/// What came of it.
enum Came {
    /// The record was to be replaced by this.
    Wrote(Box<Operation>, Result<Option<Written>, EtcdError>),
    /// A step was to be done by a write.
    Marked(Place, Answer),
    /// A cell was to be moved.
    Moved(Place, Answer),
    PutAway(Result<(), EtcdError>),
}

/// An operation that moves one cell, written down as going on, and whoever waits for it.
pub struct UnderWay {
    pub id: String,
    pub kept: Kept<Operation>,
    pub told: Told,
    /// Told once the end is recorded; dropped if another records it, or this process stops.
    pub ended: oneshot::Sender<()>,
}

/// Executes the operations that are this process's, and takes over those of silent ones.
pub struct Executor {
    hands: Hands,
    orders: mpsc::Sender<Order>,
    under_way: mpsc::Receiver<UnderWay>,
    driven: BTreeMap<String, Driven>,
    /// Ended operations that are put away, until they are no longer seen.
    put_away: BTreeSet<String>,
    work: FuturesUnordered<Work>,
    writes: Arc<Semaphore>,
}

/// An operation that this process executes.
struct Driven {
    kept: Kept<Operation>,
    memory: Memory,
    written: Instant,
    /// A write is under way, of the record or compared with it: another would be in its way.
    writing: bool,
    /// Somebody else has written the record: it must be read first.
    outdated: bool,
    /// Who waits for its end.
    waits: Option<oneshot::Sender<()>>,
}

impl Driven {
    fn new(kept: Kept<Operation>, now: Instant) -> Self {
        Self {
            kept,
            memory: Memory::default(),
            written: now,
            writing: false,
            outdated: false,
            waits: None,
        }
    }
}

impl Executor {
    #[must_use]
    pub fn new(
        hands: Hands,
        orders: mpsc::Sender<Order>,
        under_way: mpsc::Receiver<UnderWay>,
    ) -> Self {
        Self {
            hands,
            orders,
            under_way,
            driven: BTreeMap::new(),
            put_away: BTreeSet::new(),
            work: FuturesUnordered::new(),
            writes: Arc::new(Semaphore::new(WRITES)),
        }
    }

    /// Runs until stopped. What goes on then is left to the other control planes.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
                Some((id, came)) = self.work.next() => self.came(&id, came),
                Some(under_way) = self.under_way.recv() => self.go_on_with(under_way),
            }
            self.look();
        }
    }

    fn came(&mut self, id: &str, came: Came) {
        match came {
            Came::Wrote(next, written) => self.wrote(id, *next, written),
            Came::Marked(place, answer) => {
                if let Some(driven) = self.driven.get_mut(id) {
                    driven.writing = false;
                }
                self.answered(id, place, answer);
            }
            Came::Moved(place, answer) => self.answered(id, place, answer),
            Came::PutAway(Ok(())) => {}
            Came::PutAway(Err(err)) => {
                warn!(operation = id, error = %err, "ended operation not put away yet");
                self.put_away.remove(id);
            }
        }
    }

    fn answered(&mut self, id: &str, place: Place, answer: Answer) {
        if let Answer::Refused(why) = &answer {
            info!(operation = id, why, "step refused");
        }
        if let Some(driven) = self.driven.get_mut(id) {
            driven.memory.answered(place, answer, Instant::now());
        }
    }

    fn look(&mut self) {
        let state = Arc::clone(&self.hands.state.borrow());
        let now = Instant::now();
        if !state.is_fresh(now) {
            return;
        }
        let operations = state.intent().operations();
        self.driven
            .retain(|id, driven| operations.contains_key(id) || now - driven.written < UNREAD);
        self.put_away.retain(|id| operations.contains_key(id));
        for (id, seen) in operations {
            if seen.operation.status.has_ended() {
                self.put_away(id, seen, now);
            } else if self.is_ours(id, seen, now) {
                self.drive(id, &state, now);
            }
        }
    }

    /// Moves an ended operation out of the way: its executor at once, others if that one does not.
    fn put_away(&mut self, id: &str, seen: &SeenOperation, now: Instant) {
        let SeenOperation { operation, since, .. } = seen;
        let ours = operation.executor == self.hands.policy.vantage;
        let due = ours || now - *since >= self.silence(&operation.executor);
        if !due || self.put_away.contains(id) {
            return;
        }
        self.driven.remove(id);
        self.put_away.insert(id.to_owned());
        let (ended, hands) = (Arc::clone(operation), self.hands.clone());
        let (key, writes) = (id.to_owned(), Arc::clone(&self.writes));
        self.work.push(Box::pin(async move {
            let _permit = writes.acquire().await;
            hands.failpoint.reached("before putting away").await;
            let put = hands.store.end_operation(&key, &ended).await;
            (key, Came::PutAway(put))
        }));
    }

    /// Returns whether this process executes the operation; begins to take it over if it must be.
    fn is_ours(&mut self, id: &str, seen: &SeenOperation, now: Instant) -> bool {
        let own = self.hands.policy.vantage.clone();
        let kept = Kept {
            revision: seen.revision,
            version: seen.version,
            value: Operation::clone(&seen.operation),
        };
        if let Some(driven) = self.driven.get_mut(id) {
            // What is being written may be seen before it is answered.
            if driven.writing {
                return false;
            }
            if seen.version <= driven.kept.version {
                return !driven.outdated;
            }
            if kept.value.executor == own {
                (driven.kept, driven.outdated) = (kept, false);
                return true;
            }
            warn!(operation = id, executor = %kept.value.executor, "taken over by another");
            self.driven.remove(id);
            return false;
        }
        let ours = kept.value.executor == own;
        // Who was asked here comes with it: it may be read before.
        let is_asked_here = ours && kept.value.asked.vantage == own;
        let is_on_its_way = is_asked_here && kept.value.is_as_begun() && kept.value.is_one_move();
        if is_on_its_way && now - seen.since < self.hands.policy.lease.patience {
            return false;
        }
        if !ours && now - seen.since < self.silence(&kept.value.executor) {
            return false;
        }
        info!(operation = id, goal = %kept.value.goal, before = %kept.value.executor, "executing");
        let next = (!ours).then(|| taken_over(&kept.value, &own));
        self.driven.insert(id.to_owned(), Driven::new(kept, now));
        if let Some(next) = next {
            self.write(id, next);
        }
        ours
    }

    /// How long an executor may write nothing: longer, the lower the rank, so that one tries first.
    fn silence(&self, executor: &RegionId) -> Duration {
        let policy = &self.hands.policy;
        let rank = crate::decide::failover::rank(policy, Some(executor));
        policy.lease.patience * 2 + crate::decide::failover::delay(rank)
    }

    fn drive(&mut self, id: &str, state: &State, now: Instant) {
        let unix_ms = clock::unix_millis();
        let heartbeat = self.hands.policy.lease.renew * 2;
        let Some(driven) = self.driven.get_mut(id) else { return };
        if driven.kept.value.status.has_ended() {
            return;
        }
        driven.memory.look(&driven.kept.value, now);
        if safety::frozen(state, now).is_some() {
            driven.memory.held_up(now);
        }
        let at = Situation { state, spec: &self.hands.spec, now, unix_ms };
        let Advance { next, carry_out } = advance(&driven.kept.value, &driven.memory, at);
        if let Some(next) = next {
            tell(id, &driven.kept.value, &next);
            self.write(id, next);
        } else if carry_out.is_empty() && now - driven.written >= heartbeat {
            let same = driven.kept.value.clone();
            self.write(id, same);
        }
        for place in carry_out {
            self.carry_out(id, place, unix_ms);
        }
    }

    /// Begins to replace the record under the next sequence.
    fn write(&mut self, id: &str, next: Operation) {
        let Some(driven) = self.driven.get_mut(id) else { return };
        driven.writing = true;
        let next = Operation { sequence: driven.kept.value.sequence + 1, ..next };
        let (revision, hands) = (driven.kept.revision, self.hands.clone());
        let (id, writes) = (id.to_owned(), Arc::clone(&self.writes));
        self.work.push(Box::pin(async move {
            let _permit = writes.acquire().await;
            hands.failpoint.reached("before a write").await;
            let written = hands.store.replace_operation(&id, revision, &next).await;
            hands.failpoint.reached("after a write").await;
            (id, Came::Wrote(Box::new(next), written))
        }));
    }

    fn wrote(&mut self, id: &str, next: Operation, written: Result<Option<Written>, EtcdError>) {
        let Some(driven) = self.driven.get_mut(id) else { return };
        driven.writing = false;
        match written {
            Ok(Some(Written { revision, version })) => {
                driven.kept = Kept { revision, version, value: next };
                driven.written = Instant::now();
                if driven.kept.value.status.has_ended()
                    && let Some(waits) = driven.waits.take()
                {
                    // Whoever waited for it may have stopped to.
                    waits.send(()).unwrap_or_default();
                }
            }
            Ok(None) => driven.outdated = true,
            // The next look writes again; if this write has come through, it is found by its value.
            Err(err) => {
                warn!(operation = id, error = %err, "operation not written yet");
                if driven.kept.value.executor != self.hands.policy.vantage {
                    self.driven.remove(id);
                }
            }
        }
    }

    /// Carries out what is recorded as going on.
    fn go_on_with(&mut self, under_way: UnderWay) {
        let UnderWay { id, kept, told, ended } = under_way;
        let (place, now) = ((0, 0), Instant::now());
        if self.driven.contains_key(&id) {
            warn!(operation = id, "written down so long ago that it is executed already");
            return;
        }
        info!(operation = id, goal = %kept.value.goal, "executing");
        let mut driven = Driven { waits: Some(ended), ..Driven::new(kept, now) };
        driven.memory.begun(place, now);
        self.driven.insert(id.clone(), driven);
        self.move_cell(&id, place, Some(told));
    }

    fn carry_out(&mut self, id: &str, place: Place, unix_ms: u64) {
        let Some(driven) = self.driven.get_mut(id) else { return };
        let (wave, index) = place;
        driven.memory.begun(place, Instant::now());
        let what = driven.kept.value.waves[wave][index].what.clone();
        if let What::Move(_) | What::Elect(_) = what {
            self.move_cell(id, place, None);
            return;
        }
        driven.writing = true;
        let (revision, hands) = (driven.kept.revision, self.hands.clone());
        let (id, writes) = (id.to_owned(), Arc::clone(&self.writes));
        self.work.push(Box::pin(async move {
            let _permit = writes.acquire().await;
            let by = By { hands: &hands, operation: &id, revision };
            let answer = mark::carry_out(by, &what, unix_ms).await;
            hands.failpoint.reached("after a mark").await;
            (id, Came::Marked(place, answer))
        }));
    }

    fn move_cell(&mut self, id: &str, place: Place, told: Option<Told>) {
        let Some(driven) = self.driven.get(id) else { return };
        let (wave, index) = place;
        let what = driven.kept.value.waves[wave][index].what.clone();
        let reason = driven.kept.value.asked.reason.clone();
        let (orders, state) = (self.orders.clone(), self.hands.state.clone());
        let cause = Cause::operation(id, driven.kept.value.goal.kind());
        let carrier = Carrier { orders, state, cause, told };
        let (id, failpoint) = (id.to_owned(), self.hands.failpoint.clone());
        self.work.push(Box::pin(async move {
            if carrier.told.is_some() {
                failpoint.reached("written down").await;
            }
            (id, Came::Moved(place, carrier.carry_out(what, reason).await))
        }));
    }
}

/// Says what an operator would write into the logbook.
fn tell(id: &str, before: &Operation, after: &Operation) {
    for (number, wave) in after.waves.iter().enumerate() {
        for (index, step) in wave.iter().enumerate() {
            let earlier = before.waves.get(number).and_then(|wave| wave.get(index));
            if earlier.is_none_or(|earlier| earlier.state.name() != step.state.name()) {
                let state = step.state.name();
                info!(operation = id, wave = number, step = %step.what, state, "step");
            }
        }
    }
    if before.status != after.status {
        info!(operation = id, goal = %after.goal, status = after.status.name(), "operation");
    }
    if before.waits_for.is_none()
        && let Some(why) = &after.waits_for
    {
        info!(operation = id, why, "operation waits");
    }
}
