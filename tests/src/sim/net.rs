//! The network: delay, loss, duplicates, reordering, and cuts in one direction.
//!
//! A call is one request and one answer, as over HTTP. A request that is cut off is lost or, like a
//! segment that TCP sends again, arrives some time after the cut has healed, when nobody waits for
//! it any more. Whatever arrives at a process that has been restarted since is dropped with its
//! connection. Streams of WAL keep their order and break as a whole; `pg/stream.rs` has them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::exec::{NodeId, ProcId};
use super::{Proc, Sim};

const MS: u64 = 1_000_000;
/// Between processes of one machine.
const LOCAL: u64 = 80_000;

type Delivery = Box<dyn FnOnce()>;

pub struct Net {
    nodes: usize,
    /// How many faults cut a direction.
    cuts: RefCell<Vec<u32>>,
    /// One way, in nanoseconds.
    base: Vec<u64>,
    /// What faults add at most.
    pub slow: Cell<u64>,
    pub loss: Cell<f64>,
    pub duplicates: Cell<f64>,
    /// Waiting for a direction to heal.
    parked: RefCell<BTreeMap<(NodeId, NodeId), Vec<Delivery>>>,
}

impl Net {
    /// Makes machines that are `base` nanoseconds apart.
    #[must_use]
    pub fn new(nodes: usize, base: impl Fn(NodeId, NodeId) -> u64) -> Self {
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        Self {
            nodes,
            cuts: RefCell::new(vec![0; nodes * nodes]),
            base: pairs.map(|(from, to)| if from == to { LOCAL } else { base(from, to) }).collect(),
            slow: Cell::new(0),
            loss: Cell::new(0.0),
            duplicates: Cell::new(0.0),
            parked: RefCell::default(),
        }
    }

    #[must_use]
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cuts.borrow()[from * self.nodes + to] > 0
    }

    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.cuts.borrow_mut()[from * self.nodes + to] += 1;
    }

    fn heal(&self, from: NodeId, to: NodeId) -> Vec<Delivery> {
        let left = {
            let mut cuts = self.cuts.borrow_mut();
            let cut = &mut cuts[from * self.nodes + to];
            *cut = cut.saturating_sub(1);
            *cut
        };
        if left > 0 {
            return Vec::new();
        }
        self.parked.borrow_mut().remove(&(from, to)).unwrap_or_default()
    }

    pub fn clear(&self) {
        self.parked.borrow_mut().clear();
    }
}

impl Sim {
    /// Returns how long a message takes; one in fifty takes much longer, so that later ones overtake
    /// it.
    pub fn delay(&self, from: NodeId, to: NodeId) -> u64 {
        let base = self.net.base[from * self.net.nodes + to];
        if from == to {
            return base + self.exec.pick(0..LOCAL);
        }
        let slow = self.net.slow.get();
        let mut delay = base + self.exec.pick(0..base / 4 + 1);
        if slow > 0 {
            delay += self.exec.pick(0..slow);
        }
        if self.exec.chance() < 0.02 {
            delay += self.exec.pick(0..300 * MS);
        }
        delay
    }

    /// Sends one message, which may be lost, late or doubled.
    pub fn send(&self, from: NodeId, to: NodeId, deliver: impl Fn() + 'static) {
        let deliver = Rc::new(deliver);
        let copies = if self.exec.chance() < self.net.duplicates.get() { 2 } else { 1 };
        for _ in 0..copies {
            let deliver = Rc::clone(&deliver);
            self.send_once(from, to, move || deliver());
        }
    }

    fn send_once(&self, from: NodeId, to: NodeId, deliver: impl FnOnce() + 'static) {
        if from != to {
            if self.net.is_cut(from, to) {
                if self.exec.chance() < 0.5 {
                    let mut parked = self.net.parked.borrow_mut();
                    parked.entry((from, to)).or_default().push(Box::new(deliver));
                }
                return;
            }
            if self.exec.chance() < self.net.loss.get() {
                return;
            }
        }
        self.exec.at(self.exec.now() + self.delay(from, to), deliver);
    }

    /// Heals one cut, and lets some of what waited for that arrive.
    pub fn heal(&self, from: NodeId, to: NodeId) {
        for deliver in self.net.heal(from, to) {
            self.exec.at(self.exec.now() + self.exec.pick(0..400 * MS), deliver);
        }
    }

    /// Asks another process: `work` runs there, in a task of its own, and answers when it likes.
    /// `None` if no answer came in time, or the connection was refused or broken.
    pub async fn call<T: 'static, F: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        from: &Proc,
        to: ProcId,
        limit: Duration,
        work: impl Fn(Proc, Reply<T>) -> F + 'static,
    ) -> Option<T> {
        let slot = Rc::new(Slot::default());
        let lives = self.exec.lives(to);
        let (sim, answer) = (Rc::clone(self), Rc::clone(&slot));
        let (here, there) = (from.node, self.exec.node(to));
        self.send(here, there, move || {
            let reply =
                Reply { sim: Rc::clone(&sim), slot: Rc::clone(&answer), here, there, sent: false };
            if sim.exec.is_down(to) || sim.exec.lives(to) != lives {
                // Refused, or reset: the answer is that there is none.
                drop(reply);
                return;
            }
            let proc = sim.proc(to);
            sim.exec.spawn(to, work(proc, reply));
        });
        from.timeout(limit, Answer(slot)).await.flatten()
    }
}

/// Where an answer goes. Dropped without one, the asker sees the connection end.
pub struct Reply<T: 'static> {
    sim: Rc<Sim>,
    slot: Rc<Slot<T>>,
    here: NodeId,
    there: NodeId,
    sent: bool,
}

/// With an answer, or because the connection ended.
type Ended<T> = Option<T>;

struct Slot<T> {
    value: RefCell<Option<Ended<T>>>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { value: RefCell::new(None), waker: RefCell::new(None) }
    }
}

impl<T> Slot<T> {
    fn set(&self, value: Option<T>) {
        self.value.borrow_mut().get_or_insert(value);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl<T> Reply<T> {
    pub fn send(mut self, value: T) {
        self.sent = true;
        self.deliver(Some(value));
    }

    fn deliver(&self, value: Option<T>) {
        let slot = Rc::clone(&self.slot);
        self.sim.send_once(self.there, self.here, move || slot.set(value));
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if !self.sent {
            self.deliver(None);
        }
    }
}

struct Answer<T>(Rc<Slot<T>>);

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(value) = self.0.value.borrow_mut().take() {
            return Poll::Ready(value);
        }
        *self.0.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
