//! Writes and reads: what a commit waits for, and what a transaction that found its key answers.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::client::OpId;
use super::super::wal::{At, What};
use super::super::{Proc, Sim};
use super::Conf;

/// As the services wait for a commit before they call its outcome unknown.
const COMMIT: Duration = Duration::from_secs(5);

/// A strong commit that waits for standbys.
pub struct Waiter {
    at: At,
    lsn: u64,
    released: Notify,
    done: Cell<bool>,
}

/// What a transaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    New(At),
    /// The key was there: the answer of before.
    Found(At),
}

impl Sim {
    /// Runs a transaction with a key of its own at a site's server. `None` if the connection broke
    /// or nothing was heard in time: then nobody knows.
    pub async fn pg_write(
        self: &Rc<Self>,
        gateway: &Proc,
        site: usize,
        op: OpId,
        strong: bool,
    ) -> Option<Committed> {
        self.call(gateway, self.sites[site].postgres, COMMIT, move |proc, reply| async move {
            // A backend goes on when nobody listens any more; it ends with its server only.
            let committed = proc.sim.clone().transact(&proc, site, op, strong).await;
            if let Some(committed) = committed {
                reply.send(committed);
            }
        })
        .await
    }

    async fn transact(
        self: Rc<Self>,
        proc: &Proc,
        site: usize,
        op: OpId,
        strong: bool,
    ) -> Option<Committed> {
        // Another transaction with the key is waited for, as by the unique index.
        loop {
            if !self.pg(site).is_ready() || self.pg(site).is_standby() {
                return None;
            }
            let other = {
                let run = self.pg(site).run.borrow();
                run.as_ref().and_then(|run| run.in_progress.get(&op).cloned())
            };
            match other {
                Some(other) => other.notified().await,
                None => break,
            }
        }
        if let Some(at) = self.checker.borrow().row(op, |at| self.wal.has(self.pg(site).head(), at))
        {
            return Some(Committed::Found(at));
        }
        let ended = Rc::new(Notify::new());
        self.pg(site).run.borrow_mut().as_mut()?.in_progress.insert(op, Rc::clone(&ended));
        self.flush(proc, site).await;
        let committed = if self.pg(site).is_ready() {
            let at = self.write_wal(site, if strong { What::Strong(op) } else { What::Weak(op) });
            self.checker.borrow_mut().wrote(op, at);
            let released = if strong { self.wait_for_standbys(site, at).await } else { true };
            released.then_some(Committed::New(at))
        } else {
            None
        };
        if let Some(run) = self.pg(site).run.borrow_mut().as_mut() {
            run.in_progress.remove(&op);
        }
        ended.notify_waiters();
        committed
    }

    /// Takes the time of a flush.
    pub async fn flush(&self, proc: &Proc, site: usize) {
        let slow = self.pg(site).slow.get();
        let slow = if slow > 0 { self.exec.pick(0..slow) } else { 0 };
        proc.sleep(Duration::from_nanos(self.exec.pick(150_000..1_200_000) + slow)).await;
    }

    /// Waits until enough standbys have flushed as far. Returns false if the session was ended first:
    /// then the commit is done here, and nobody is told.
    async fn wait_for_standbys(&self, site: usize, at: At) -> bool {
        let lsn = self.wal.lsn(at);
        let waiter = Rc::new(Waiter { at, lsn, released: Notify::new(), done: Cell::new(false) });
        match self.pg(site).run.borrow_mut().as_mut() {
            Some(run) if run.ready => run.waiters.push(Rc::clone(&waiter)),
            Some(_) | None => return false,
        }
        self.release_waiters(site);
        while !waiter.done.get() {
            waiter.released.notified().await;
        }
        true
    }

    /// Lets commits go that enough of the standbys that count now have flushed.
    pub fn release_waiters(&self, site: usize) {
        let mut run = self.pg(site).run.borrow_mut();
        let Some(run) = run.as_mut() else { return };
        let Conf::Names { acks, .. } = &run.loaded else { return };
        let mut flushed: Vec<u64> = run
            .senders
            .iter()
            .filter(|sender| sender.counted.get() && sender.streaming.get())
            .map(|sender| sender.flushed.get())
            .collect();
        flushed.sort_unstable_by(|a, b| b.cmp(a));
        let Some(enough) = flushed.get(acks.saturating_sub(1)).copied() else { return };
        run.waiters.retain(|waiter| {
            let done = waiter.lsn <= enough;
            if done {
                waiter.done.set(true);
                waiter.released.notify_one();
            }
            !done
        });
    }

    /// Writes the row that opens an epoch, and returns once enough standbys have it.
    pub async fn pg_barrier(self: &Rc<Self>, agent: &Proc, site: usize, epoch: u64) -> Option<()> {
        self.call(
            agent,
            self.sites[site].postgres,
            Duration::from_hours(1),
            move |proc, reply| async move {
                let sim = &proc.sim;
                if !sim.pg(site).is_ready() || sim.pg(site).is_standby() {
                    return;
                }
                sim.flush(&proc, site).await;
                let at = sim.write_wal(site, What::Barrier { epoch, site });
                if sim.wait_for_standbys(site, at).await {
                    reply.send(());
                }
            },
        )
        .await
    }

    /// Reads: returns where the history ended, and the newest strong write in it that is visible.
    pub async fn pg_read(self: &Rc<Self>, gateway: &Proc, site: usize) -> Option<(At, Option<At>)> {
        self.call(gateway, self.sites[site].postgres, COMMIT, move |proc, reply| async move {
            let sim = &proc.sim;
            proc.sleep(Duration::from_micros(sim.exec.pick(100..1000))).await;
            if !sim.pg(site).is_ready() {
                return;
            }
            let waiting: Vec<At> = {
                let run = sim.pg(site).run.borrow();
                let waiters = run.iter().flat_map(|run| &run.waiters);
                waiters.map(|waiter| waiter.at).collect()
            };
            let head = sim.pg(site).head();
            let newest = sim.wal.find(head, |at, record| match record.what {
                What::Strong(_) if !waiting.contains(&at) => Some(Some(at)),
                What::Strong(_) | What::Other | What::Weak(_) | What::Barrier { .. } => {
                    (record.depth == 0).then_some(None)
                }
            });
            reply.send((head, newest.flatten()));
        })
        .await
    }
}
