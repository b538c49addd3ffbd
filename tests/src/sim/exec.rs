//! Virtual time: one thread, one queue of events, and tasks that belong to processes.
//!
//! The actors are written as `async` functions, in the order of the real ones, and polled here. A
//! process can be stopped for a while (its tasks are not polled, its timers fire late, its clock goes
//! on) and killed (its tasks are dropped, and what they held in memory with them). Every machine has
//! a clock of its own, up to 1 % fast or slow.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use runtime::clock::BootTime;

/// A process: what is stopped, killed and started as one.
pub type ProcId = usize;
/// A machine: what has one clock, and one place in the network.
pub type NodeId = usize;

/// One part in a million of a clock's rate.
const MILLION: u64 = 1_000_000;

type Future = Pin<Box<dyn std::future::Future<Output = ()>>>;

pub struct Exec {
    now: Cell<u64>,
    sequence: Cell<u64>,
    queue: RefCell<BinaryHeap<Reverse<Entry>>>,
    tasks: RefCell<Vec<Task>>,
    free: RefCell<Vec<usize>>,
    ready: Ready,
    timers: RefCell<Timers>,
    procs: RefCell<Vec<Process>>,
    clocks: RefCell<Vec<Clock>>,
    rng: RefCell<Xoshiro256PlusPlus>,
    polls: Cell<u64>,
}

type Ready = Arc<Mutex<VecDeque<usize>>>;

struct Entry {
    at: u64,
    sequence: u64,
    what: What,
}

enum What {
    Timer { index: usize, turn: u32 },
    Run(Box<dyn FnOnce()>),
}

struct Task {
    proc: ProcId,
    /// Taken out while it is polled.
    future: Option<Future>,
    waker: Arc<TaskWaker>,
    used: bool,
}

struct TaskWaker {
    index: usize,
    queued: AtomicBool,
    ready: Ready,
}

#[derive(Default)]
struct Timers {
    slots: Vec<(u32, Option<Waker>)>,
    free: Vec<usize>,
}

#[derive(Default)]
struct Process {
    node: NodeId,
    down: bool,
    /// How many reasons there are for it to stand still.
    stopped: u32,
    /// Tasks that were woken meanwhile.
    stalled: Vec<usize>,
    lives: u32,
}

struct Clock {
    offset: u64,
    /// Ticks of this clock in a million of true ones.
    rate: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.index);
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl Exec {
    /// Makes the machines' clocks from the seed, and one process for each entry of `procs`: the
    /// machine it runs on.
    #[must_use]
    pub fn new(seed: u64, nodes: usize, procs: &[NodeId], drift: bool) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let clock = |rng: &mut Xoshiro256PlusPlus| Clock {
            offset: rng.random_range(1_000_000_000..100_000_000_000),
            rate: if drift { rng.random_range(990_000..=1_010_000) } else { MILLION },
        };
        let clocks = (0..nodes).map(|_| clock(&mut rng)).collect();
        let process = |node: &NodeId| Process { node: *node, ..Process::default() };
        Self {
            now: Cell::new(0),
            sequence: Cell::new(0),
            queue: RefCell::default(),
            tasks: RefCell::default(),
            free: RefCell::default(),
            ready: Ready::default(),
            timers: RefCell::default(),
            procs: RefCell::new(procs.iter().map(process).collect()),
            clocks: RefCell::new(clocks),
            rng: RefCell::new(rng),
            polls: Cell::new(0),
        }
    }

    /// Returns the true time, which no actor knows.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Returns how often a task was polled: how much has happened.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// Returns a number between 0 and 1.
    #[must_use]
    pub fn chance(&self) -> f64 {
        self.rng.borrow_mut().random()
    }

    /// Returns a number of the range.
    #[must_use]
    pub fn pick(&self, range: std::ops::Range<u64>) -> u64 {
        self.rng.borrow_mut().random_range(range)
    }

    /// Runs `then` at a true time.
    pub fn at(&self, at: u64, then: impl FnOnce() + 'static) {
        self.push(at, What::Run(Box::new(then)));
    }

    fn push(&self, at: u64, what: What) {
        let sequence = self.sequence.get();
        self.sequence.set(sequence + 1);
        self.queue.borrow_mut().push(Reverse(Entry { at: at.max(self.now.get()), sequence, what }));
    }

    /// Starts a task of a process. One of a dead process is dropped.
    pub fn spawn(&self, proc: ProcId, future: impl std::future::Future<Output = ()> + 'static) {
        if self.procs.borrow()[proc].down {
            return;
        }
        let mut tasks = self.tasks.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or(tasks.len());
        let waker = Arc::new(TaskWaker {
            index,
            queued: AtomicBool::new(false),
            ready: self.ready.clone(),
        });
        let task =
            Task { proc, future: Some(Box::pin(future)), waker: Arc::clone(&waker), used: true };
        if index == tasks.len() {
            tasks.push(task);
        } else {
            tasks[index] = task;
        }
        drop(tasks);
        waker.wake();
    }

    /// Lets everything happen until a true time, or until `over` says so.
    pub fn run(&self, until: u64, over: impl Fn() -> bool) {
        loop {
            while let Some(index) = self.next_ready() {
                self.poll(index);
            }
            if over() {
                return;
            }
            let due = self.queue.borrow().peek().is_some_and(|Reverse(entry)| entry.at <= until);
            if !due {
                self.now.set(until);
                return;
            }
            let Some(Reverse(entry)) = self.queue.borrow_mut().pop() else { return };
            self.now.set(entry.at);
            match entry.what {
                What::Timer { index, turn } => self.fire(index, turn),
                What::Run(then) => then(),
            }
        }
    }

    fn next_ready(&self) -> Option<usize> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn poll(&self, index: usize) {
        let (proc, waker, future) = {
            let mut tasks = self.tasks.borrow_mut();
            let task = &mut tasks[index];
            if task.future.is_none() {
                return;
            }
            let mut procs = self.procs.borrow_mut();
            let process = &mut procs[task.proc];
            if process.stopped > 0 {
                // Still marked as queued, so that it is noted once.
                process.stalled.push(index);
                return;
            }
            task.waker.queued.store(false, Ordering::Relaxed);
            (task.proc, Arc::clone(&task.waker), task.future.take())
        };
        let Some(mut future) = future else { return };
        self.polls.set(self.polls.get() + 1);
        let lives = self.lives(proc);
        let done = {
            let waker = Waker::from(Arc::clone(&waker));
            future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };
        if done || self.lives(proc) != lives {
            drop(future);
            let mut tasks = self.tasks.borrow_mut();
            if tasks[index].used && Arc::ptr_eq(&tasks[index].waker, &waker) {
                tasks[index].used = false;
                self.free.borrow_mut().push(index);
            }
        } else {
            self.tasks.borrow_mut()[index].future = Some(future);
        }
    }

    /// Stops a process: nothing of it runs until as many calls of [`Self::resume`].
    pub fn stop(&self, proc: ProcId) {
        self.procs.borrow_mut()[proc].stopped += 1;
    }

    pub fn resume(&self, proc: ProcId) {
        let mut procs = self.procs.borrow_mut();
        let process = &mut procs[proc];
        process.stopped = process.stopped.saturating_sub(1);
        if process.stopped == 0 {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.extend(process.stalled.drain(..));
        }
    }

    #[must_use]
    pub fn is_stopped(&self, proc: ProcId) -> bool {
        self.procs.borrow()[proc].stopped > 0
    }

    /// Kills a process: its tasks end where they are. It is down until [`Self::start`].
    pub fn kill(&self, proc: ProcId) {
        {
            let mut procs = self.procs.borrow_mut();
            procs[proc].down = true;
            procs[proc].lives += 1;
            procs[proc].stalled.clear();
        }
        let mut dropped = Vec::new();
        {
            let mut tasks = self.tasks.borrow_mut();
            for (index, task) in tasks.iter_mut().enumerate() {
                // One that is being polled now is dropped after it.
                if task.used && task.proc == proc && task.future.is_some() {
                    dropped.extend(task.future.take());
                    task.used = false;
                    self.free.borrow_mut().push(index);
                }
            }
        }
        drop(dropped);
    }

    pub fn start(&self, proc: ProcId) {
        self.procs.borrow_mut()[proc].down = false;
    }

    #[must_use]
    pub fn is_down(&self, proc: ProcId) -> bool {
        self.procs.borrow()[proc].down
    }

    /// Returns which life of the process this is.
    #[must_use]
    pub fn lives(&self, proc: ProcId) -> u32 {
        self.procs.borrow()[proc].lives
    }

    #[must_use]
    pub fn node(&self, proc: ProcId) -> NodeId {
        self.procs.borrow()[proc].node
    }

    /// Returns what a machine's clock shows.
    #[must_use]
    pub fn boot_time(&self, node: NodeId) -> BootTime {
        let clocks = self.clocks.borrow();
        let clock = &clocks[node];
        // In two steps, so that nothing overflows within a day.
        let now = self.now.get();
        let ticks = now / MILLION * clock.rate + now % MILLION * clock.rate / MILLION;
        BootTime::from_nanos(clock.offset + ticks)
    }

    /// Returns how much true time passes while a machine's clock counts `duration`.
    fn true_time(&self, node: NodeId, duration: Duration) -> u64 {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / MILLION);
        nanos.saturating_mul(MILLION) / self.clocks.borrow()[node].rate + 1
    }

    /// Resolves after `duration` on the machine's own clock.
    pub fn sleep(&self, node: NodeId, duration: Duration) -> Sleep<'_> {
        Sleep { exec: self, until: self.now.get() + self.true_time(node, duration), timer: None }
    }

    fn fire(&self, index: usize, turn: u32) {
        let waker = {
            let mut timers = self.timers.borrow_mut();
            let slot = &mut timers.slots[index];
            if slot.0 == turn { slot.1.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Drops every task and event: what they hold refers back to here.
    pub fn clear(&self) {
        for _ in 0..3 {
            let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
            drop(tasks);
            let queue = std::mem::take(&mut *self.queue.borrow_mut());
            drop(queue);
        }
    }
}

pub struct Sleep<'a> {
    exec: &'a Exec,
    until: u64,
    timer: Option<(usize, u32)>,
}

impl std::future::Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.exec.now.get() >= self.until {
            return Poll::Ready(());
        }
        if self.timer.is_none() {
            let mut timers = self.exec.timers.borrow_mut();
            let index = timers.free.pop().unwrap_or(timers.slots.len());
            if index == timers.slots.len() {
                timers.slots.push((0, None));
            }
            let slot = &mut timers.slots[index];
            slot.0 = slot.0.wrapping_add(1);
            slot.1 = Some(context.waker().clone());
            let turn = slot.0;
            drop(timers);
            self.timer = Some((index, turn));
            self.exec.push(self.until, What::Timer { index, turn });
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some((index, turn)) = self.timer {
            let mut timers = self.exec.timers.borrow_mut();
            if timers.slots[index].0 == turn {
                timers.slots[index].0 = turn.wrapping_add(1);
                timers.slots[index].1 = None;
                timers.free.push(index);
            }
        }
    }
}
