//! Executes operations: every step is recorded before it is done and after it has ended, by
//! compare-and-swap. Any control plane goes on with an operation whose executor has fallen silent;
//! what it finds it reads from the record and the cells.
//!
//! ```text
//!  record: step goes on ──▶ carry it out ──▶ see what came of it ──▶ record: step has ended
//!          └──────────── whoever dies here leaves enough for the next one ────────────┘
//! ```
//!
//! A cell that one asks to move comes with its step recorded as going on, and is moved at once. The move
//! waits for nothing that is written here meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use runtime::clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use topology::RegionId;
use tracing::{info, warn};

use super::control::Order;
use super::hands::Hands;
use super::mark::{self, By};
use super::switch::{Handed, Switchover, Undone};
use crate::decide::State;
use crate::decide::operation::advance::{Advance, Situation, advance, taken_over};
use crate::decide::operation::memory::{Answer, Memory, Place};
use crate::decide::operation::{Move, Operation, What};
use crate::decide::safety;
use crate::decide::state::SeenOperation;
use crate::store::Kept;

/// How often operations are looked at: little beside a move, which takes a second.
const TICK: Duration = Duration::from_millis(50);

/// How long an operation that this process has written is kept in mind before it is read: reading takes a
/// moment, and longer while etcd elects.
const UNREAD: Duration = Duration::from_secs(5);

/// A move that is being carried out, and what came of it.
type Work = Pin<Box<dyn Future<Output = (String, Place, Answer)> + Send>>;

/// What came of handing a cell over.
pub type Handover = Result<Handed, Undone>;

/// An operation of one move, written down as going on, and whoever waits for it.
pub struct UnderWay {
    pub id: String,
    pub kept: Kept<Operation>,
    /// Answered once the target is being promoted, or as soon as it is known that it will not be.
    pub handed: oneshot::Sender<Handover>,
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
}

/// An operation that this process executes.
struct Driven {
    kept: Kept<Operation>,
    memory: Memory,
    written: Instant,
    /// Somebody else has written the record: it must be read first.
    outdated: bool,
    /// Who waits for its end.
    waits: Option<oneshot::Sender<()>>,
}

impl Driven {
    fn new(kept: Kept<Operation>, now: Instant) -> Self {
        Self { kept, memory: Memory::default(), written: now, outdated: false, waits: None }
    }
}

impl Executor {
    #[must_use]
    pub fn new(
        hands: Hands,
        orders: mpsc::Sender<Order>,
        under_way: mpsc::Receiver<UnderWay>,
    ) -> Self {
        let (driven, put_away) = (BTreeMap::new(), BTreeSet::new());
        Self { hands, orders, under_way, driven, put_away, work: FuturesUnordered::new() }
    }

    /// Runs until stopped. What goes on then is left to the other control planes.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
                Some((id, place, answer)) = self.work.next() => self.answered(&id, place, answer),
                Some(under_way) = self.under_way.recv() => self.go_on_with(under_way).await,
            }
            tokio::select! {
                () = self.look() => {}
                () = stop.cancelled() => return Ok(()),
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

    async fn look(&mut self) {
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
                self.put_away(id, seen, now).await;
            } else if self.is_ours(id, seen, now).await {
                self.drive(id, &state, now).await;
            }
        }
    }

    /// Moves an ended operation out of the way: its executor at once, others if that one does not.
    async fn put_away(&mut self, id: &str, seen: &SeenOperation, now: Instant) {
        let SeenOperation { operation, since, .. } = seen;
        let ours = operation.executor == self.hands.policy.vantage;
        let due = ours || now - *since >= self.silence(&operation.executor);
        if !due || self.put_away.contains(id) {
            return;
        }
        self.driven.remove(id);
        self.hands.failpoint.reached("before putting away").await;
        match self.hands.store.end_operation(id, operation).await {
            Ok(()) => {
                self.put_away.insert(id.to_owned());
            }
            Err(err) => warn!(operation = id, error = %err, "ended operation not put away yet"),
        }
    }

    /// Returns whether this process executes the operation, having taken it over if it must be.
    async fn is_ours(&mut self, id: &str, seen: &SeenOperation, now: Instant) -> bool {
        let own = &self.hands.policy.vantage;
        let kept = Kept {
            revision: seen.revision,
            version: seen.version,
            value: Operation::clone(&seen.operation),
        };
        if let Some(driven) = self.driven.get_mut(id) {
            if seen.version <= driven.kept.version {
                return !driven.outdated;
            }
            if kept.value.executor == *own {
                (driven.kept, driven.outdated) = (kept, false);
                return true;
            }
            warn!(operation = id, executor = %kept.value.executor, "taken over by another");
            self.driven.remove(id);
            return false;
        }
        let ours = kept.value.executor == *own;
        // Whoever wrote it down comes with it: it may be read before.
        let is_on_its_way = ours && kept.value.is_as_begun() && kept.value.is_one_move();
        if is_on_its_way && now - seen.since < self.hands.policy.lease.patience {
            return false;
        }
        if !ours && now - seen.since < self.silence(&kept.value.executor) {
            return false;
        }
        info!(operation = id, goal = %kept.value.goal, before = %kept.value.executor, "executing");
        let next = (!ours).then(|| taken_over(&kept.value, own));
        self.driven.insert(id.to_owned(), Driven::new(kept, now));
        match next {
            Some(next) => self.write(id, next).await,
            None => true,
        }
    }

    /// How long an executor may write nothing: longer, the lower the rank, so that one tries first.
    fn silence(&self, executor: &RegionId) -> Duration {
        let policy = &self.hands.policy;
        let rank = crate::decide::failover::rank(policy, Some(executor));
        policy.lease.patience * 2 + crate::decide::failover::delay(rank)
    }

    async fn drive(&mut self, id: &str, state: &State, now: Instant) {
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
            self.write(id, next).await;
        } else if carry_out.is_empty() && now - driven.written >= heartbeat {
            let same = driven.kept.value.clone();
            self.write(id, same).await;
        }
        for place in carry_out {
            self.carry_out(id, place, unix_ms).await;
        }
    }

    /// Replaces the record under the next sequence. Returns whether it was.
    async fn write(&mut self, id: &str, next: Operation) -> bool {
        let Some(driven) = self.driven.get_mut(id) else { return false };
        let next = Operation { sequence: driven.kept.value.sequence + 1, ..next };
        self.hands.failpoint.reached("before a write").await;
        let written = self.hands.store.replace_operation(id, driven.kept.revision, &next).await;
        self.hands.failpoint.reached("after a write").await;
        match written {
            Ok(Some(written)) => {
                let (revision, version) = (written.revision, written.version);
                driven.kept = Kept { revision, version, value: next };
                driven.written = Instant::now();
                if driven.kept.value.status.has_ended()
                    && let Some(waits) = driven.waits.take()
                {
                    // Whoever waited for it may have stopped to.
                    waits.send(()).unwrap_or_default();
                }
                true
            }
            Ok(None) => {
                driven.outdated = true;
                false
            }
            // The next look writes again; if this write has come through, it is found by its value.
            Err(err) => {
                warn!(operation = id, error = %err, "operation not written yet");
                false
            }
        }
    }

    /// Moves a cell whose move is recorded as going on.
    async fn go_on_with(&mut self, under_way: UnderWay) {
        let UnderWay { id, kept, handed, ended } = under_way;
        self.hands.failpoint.reached("written down").await;
        let (place, now) = ((0, 0), Instant::now());
        let Some(What::Move(planned)) = kept.value.steps().next().map(|step| step.what.clone())
        else {
            return;
        };
        if self.driven.contains_key(&id) {
            warn!(operation = id, "written down so long ago that it is executed already");
            return;
        }
        info!(operation = id, goal = %kept.value.goal, "executing");
        let mut driven = Driven { waits: Some(ended), ..Driven::new(kept, now) };
        driven.memory.begun(place, now);
        self.driven.insert(id.clone(), driven);
        self.carry_move(&id, place, planned, Some(handed));
    }

    fn carry_move(
        &self,
        id: &str,
        place: Place,
        planned: Move,
        told: Option<oneshot::Sender<Handover>>,
    ) {
        let (id, orders) = (id.to_owned(), self.orders.clone());
        self.work.push(Box::pin(async move {
            let answer = carry_move(orders, planned, told).await;
            (id, place, answer)
        }));
    }

    async fn carry_out(&mut self, id: &str, place: Place, unix_ms: u64) {
        let Some(driven) = self.driven.get_mut(id) else { return };
        let (wave, index) = place;
        driven.memory.begun(place, Instant::now());
        let (what, revision) = (&driven.kept.value.waves[wave][index].what, driven.kept.revision);
        let by = By { hands: &self.hands, operation: id, revision };
        let answer = match what {
            What::Drain(region) => mark::region(by, region, true, unix_ms).await,
            What::Undrain(region) => mark::region(by, region, false, unix_ms).await,
            What::Retire(site) => mark::site(by, site, true).await,
            What::Add(site) => mark::site(by, site, false).await,
            What::Move(planned) => {
                let planned = planned.clone();
                self.carry_move(id, place, planned, None);
                return;
            }
        };
        self.hands.failpoint.reached("after a mark").await;
        self.answered(id, place, answer);
    }
}

async fn carry_move(
    orders: mpsc::Sender<Order>,
    planned: Move,
    told: Option<oneshot::Sender<Handover>>,
) -> Answer {
    let Move { cell, to, epoch, .. } = planned;
    let (reply, answer) = oneshot::channel();
    let order = Order::Switchover(Switchover { cell, to, planned: Some(epoch), reply });
    let answer = match orders.send(order).await {
        Ok(()) => answer.await.map_err(|closed| closed.to_string()),
        Err(closed) => Err(closed.to_string()),
    };
    let handover = match answer {
        Ok(handover) => handover,
        // This process stops: whoever executes it next sees what has come of the move.
        Err(stopping) => {
            info!(stopping, "the planned move is left to others");
            return std::future::pending().await;
        }
    };
    let answer = match &handover {
        Ok(handed) => Answer::Done(Some(handed.announced)),
        Err(undone) => Answer::Refused(undone.to_string()),
    };
    if let Some(told) = told
        && told.send(handover).is_err()
    {
        info!("nobody waits for the planned move any more");
    }
    answer
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
