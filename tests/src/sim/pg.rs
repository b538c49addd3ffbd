//! A site's PostgreSQL: what is on its disk, what a running server holds, and how it is started,
//! promoted and stopped. `pg/commit.rs` has writes and reads, `pg/stream.rs` replication,
//! `pg/rebuild.rs` rewinding and copying.
//!
//! Simplified: a record counts as written once it is flushed, and as replayed once a standby has
//! flushed it (a promotion replays all of that anyway, and a vote waits for it); databases are small;
//! a disk never lies and is never full.

pub mod commit;
pub mod rebuild;
pub mod stream;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::client::OpId;
use super::wal::{At, What};
use super::{Proc, Sim};

/// How often a state that PostgreSQL does not announce is looked at; coarser than the agent's 5 ms.
pub const POLL: Duration = Duration::from_millis(10);
/// As the agent waits for an answer of its own server.
pub const WAIT: Duration = Duration::from_secs(5);
const START_LIMIT: Duration = Duration::from_mins(1);
const PROMOTE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Fast,
    Immediate,
}

/// What the agent writes into the server's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conf {
    /// Whom to stream from, under which epoch's name.
    Upstream(Option<(usize, u64)>),
    /// Who counts for a strong commit, under which epoch's names.
    Names { sites: BTreeSet<usize>, acks: usize, epoch: u64 },
}

/// What survives a crash.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The last record that is flushed, and with it all before.
    pub head: At,
    /// The position that was received without continuing `head`: on the same timeline by number, of
    /// another history in fact. PostgreSQL reports it as flushed, and can never replay it.
    pub phantom: Option<u64>,
    pub standby: bool,
    /// The agent's note that this directory was written as a primary's.
    pub was_primary: bool,
    /// A rewind has begun and not ended.
    pub rewinding: bool,
    /// Where the checkpoint of a clean shutdown begins, while nothing has been written since.
    pub clean: Option<u64>,
    pub conf: Conf,
}

/// What a running server holds in memory.
pub struct Running {
    pub ready: bool,
    /// The settings as taken over, a moment after they were written.
    pub loaded: Conf,
    pub senders: Vec<Rc<stream::Sender>>,
    pub waiters: Vec<Rc<commit::Waiter>>,
    /// Keys whose transaction has not ended.
    pub in_progress: BTreeMap<OpId, Rc<Notify>>,
    /// Woken when the standby's source changes.
    pub source_changed: Rc<Notify>,
    pub receiver: Option<Rc<stream::Connection>>,
}

pub struct Pg {
    pub disk: RefCell<Disk>,
    pub run: RefCell<Option<Running>>,
    /// What a slow disk adds to each flush.
    pub slow: Cell<u64>,
}

impl Pg {
    #[must_use]
    pub fn new(standby: bool) -> Self {
        let disk = Disk {
            head: 0,
            phantom: None,
            standby,
            was_primary: !standby,
            rewinding: false,
            clean: None,
            conf: Conf::Upstream(None),
        };
        Self { disk: RefCell::new(disk), run: RefCell::new(None), slow: Cell::new(0) }
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.run.borrow().is_some()
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.run.borrow().as_ref().is_some_and(|run| run.ready)
    }

    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.disk.borrow().standby
    }

    #[must_use]
    pub fn was_primary(&self) -> bool {
        self.disk.borrow().was_primary
    }

    pub fn mark_primary(&self) {
        self.disk.borrow_mut().was_primary = true;
    }

    pub fn unmark_primary(&self) {
        self.disk.borrow_mut().was_primary = false;
    }

    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.run.borrow().as_ref().is_some_and(|run| run.receiver.is_some())
    }

    /// Returns whether the running server knows that it has no source.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let run = self.run.borrow();
        run.as_ref().is_none_or(|run| run.loaded == Conf::Upstream(None))
    }

    #[must_use]
    pub fn head(&self) -> At {
        self.disk.borrow().head
    }
}

impl Sim {
    pub fn pg(&self, site: usize) -> &Pg {
        &self.sites[site].pg
    }

    /// Adds a record to a site's WAL, flushed.
    pub fn write_wal(&self, site: usize, what: What) -> At {
        let mut disk = self.pg(site).disk.borrow_mut();
        let bytes = self.exec.pick(24..400);
        disk.head = self.wal.append(disk.head, self.wal.timeline(disk.head), bytes, what);
        disk.clean = None;
        let head = disk.head;
        drop(disk);
        self.wake_senders(site);
        head
    }

    /// Ends the server, whatever it was doing: what is on disk stays.
    pub fn pg_die(&self, site: usize) {
        let Some(run) = self.pg(site).run.borrow_mut().take() else { return };
        self.trace(|| format!("{}: PostgreSQL ended", self.name(site)));
        for sender in &run.senders {
            self.close_downwards(sender);
        }
        if let Some(connection) = &run.receiver {
            self.close_upwards(connection);
        }
        self.exec.kill(self.sites[site].postgres);
        drop(run);
    }

    /// Writes settings; a running server takes them over a moment later.
    pub fn configure(self: &Rc<Self>, site: usize, conf: Conf) {
        self.pg(site).disk.borrow_mut().conf = conf;
        if !self.pg(site).is_running() {
            return;
        }
        let proc = self.proc(self.sites[site].postgres);
        let pause = Duration::from_micros(self.exec.pick(500..30_000));
        self.exec.spawn(proc.id, async move {
            proc.sleep(pause).await;
            proc.sim.reload(site);
        });
    }

    fn reload(self: &Rc<Self>, site: usize) {
        let conf = self.pg(site).disk.borrow().conf.clone();
        let mut run = self.pg(site).run.borrow_mut();
        let Some(run) = run.as_mut() else { return };
        if run.loaded == conf {
            return;
        }
        run.loaded = conf;
        run.source_changed.notify_one();
        // Each walsender reads the settings in its own time.
        for sender in run.senders.clone() {
            let proc = self.proc(self.sites[site].postgres);
            let pause = Duration::from_micros(self.exec.pick(100..40_000));
            self.exec.spawn(proc.id, async move {
                proc.sleep(pause).await;
                proc.sim.count_sender(site, &sender);
            });
        }
    }

    /// Starts the server as its directory and settings say, and waits until it answers.
    pub async fn pg_start(self: &Rc<Self>, agent: &Proc, site: usize) -> Result<(), &'static str> {
        let pg = self.pg(site);
        if pg.is_running() {
            return Err("start PostgreSQL twice");
        }
        let proc = self.proc(self.sites[site].postgres);
        self.exec.start(proc.id);
        let standby = pg.is_standby();
        let loaded = pg.disk.borrow().conf.clone();
        *pg.run.borrow_mut() = Some(Running {
            ready: false,
            loaded,
            senders: Vec::new(),
            waiters: Vec::new(),
            in_progress: BTreeMap::new(),
            source_changed: Rc::new(Notify::new()),
            receiver: None,
        });
        let recovery = Duration::from_millis(self.exec.pick(40..250));
        self.exec.spawn(proc.id, async move {
            proc.sleep(recovery).await;
            let sim = &proc.sim;
            if !standby {
                sim.write_wal(site, What::Other);
            }
            if let Some(run) = sim.pg(site).run.borrow_mut().as_mut() {
                run.ready = true;
            }
            if standby {
                sim.receive_for_ever(&proc, site).await;
            }
            // A primary writes something of its own now and then, whoever uses it.
            loop {
                proc.sleep(Duration::from_millis(sim.exec.pick(300..2_000))).await;
                if !sim.pg(site).is_standby() {
                    sim.write_wal(site, What::Other);
                }
            }
        });
        let started = async {
            while !pg.is_ready() {
                if !pg.is_running() {
                    return Err("start PostgreSQL");
                }
                agent.sleep(POLL * 2).await;
            }
            Ok(())
        };
        agent.timeout(START_LIMIT, started).await.unwrap_or(Err("start PostgreSQL in time"))
    }

    /// Starts the server as a standby.
    pub async fn pg_start_standby(
        self: &Rc<Self>,
        agent: &Proc,
        site: usize,
        upstream: Option<(usize, u64)>,
    ) -> Result<(), &'static str> {
        {
            let mut disk = self.pg(site).disk.borrow_mut();
            disk.standby = true;
            disk.conf = Conf::Upstream(upstream);
        }
        self.pg_start(agent, site).await
    }

    /// Asks the server to stop and waits; after `limit` it is stopped harder.
    pub async fn pg_stop(self: &Rc<Self>, agent: &Proc, site: usize, how: Stop, limit: Duration) {
        match how {
            Stop::Fast => self.stop_fast(site),
            Stop::Immediate => self.pg_stop_now(site),
        }
        self.pg_end(agent, site, how, limit).await;
    }

    /// Asks the server to stop, and returns where its last checkpoint begins once that is on disk; what the
    /// standbys do not have yet is sent meanwhile.
    pub async fn pg_last_checkpoint(
        self: &Rc<Self>,
        agent: &Proc,
        site: usize,
        limit: Duration,
    ) -> Option<u64> {
        self.stop_fast(site);
        let deadline = agent.now() + limit;
        let clean = || self.pg(site).disk.borrow().clean;
        while self.pg(site).is_running() && clean().is_none() {
            if agent.now() > deadline {
                self.pg_stop_now(site);
                self.pg_end(agent, site, Stop::Immediate, POLL).await;
            }
            agent.sleep(POLL).await;
        }
        clean()
    }

    /// Waits until a server that was asked to stop has ended; after `limit` it is stopped at once.
    pub async fn pg_end(self: &Rc<Self>, agent: &Proc, site: usize, how: Stop, limit: Duration) {
        let mut asked_harder = how == Stop::Immediate;
        let mut deadline = agent.now() + limit;
        while self.pg(site).is_running() {
            if agent.now() > deadline {
                if asked_harder {
                    self.pg_die(site);
                } else {
                    self.pg_stop_now(site);
                }
                asked_harder = true;
                deadline = agent.now() + POLL;
            }
            agent.sleep(POLL).await;
        }
    }

    /// Tells the server to drop everything; one that stands still obeys when it goes on.
    pub fn pg_stop_now(self: &Rc<Self>, site: usize) {
        let proc = self.proc(self.sites[site].postgres);
        let pause = Duration::from_millis(self.exec.pick(2..30));
        self.exec.spawn(proc.id, async move {
            proc.sleep(pause).await;
            proc.sim.pg_die(site);
        });
    }

    /// Ends sessions, writes a checkpoint, ships everything, ends.
    fn stop_fast(self: &Rc<Self>, site: usize) {
        let proc = self.proc(self.sites[site].postgres);
        self.exec.spawn(proc.id, async move {
            let sim = &proc.sim;
            if let Some(run) = sim.pg(site).run.borrow_mut().as_mut() {
                run.ready = false;
                // Their commits are done here, and nobody is told.
                run.waiters.clear();
            }
            proc.sleep(Duration::from_millis(sim.exec.pick(5..60))).await;
            if !sim.pg(site).is_standby() {
                let begins = sim.wal.lsn(sim.pg(site).head());
                let end = sim.write_wal(site, What::Other);
                let end = sim.wal.lsn(end);
                sim.pg(site).disk.borrow_mut().clean = Some(begins);
                while sim.has_behind(site, end) {
                    proc.sleep(POLL).await;
                }
            }
            sim.pg_die(site);
        });
    }

    /// Makes the running standby the primary of a new timeline, whose number is one more than the
    /// highest it knows.
    pub async fn pg_promote(
        self: &Rc<Self>,
        agent: &Proc,
        site: usize,
    ) -> Result<(), &'static str> {
        let pause = Duration::from_millis(self.exec.pick(20..110));
        let asked = self
            .call(agent, self.sites[site].postgres, WAIT, move |proc, reply| async move {
                if !proc.sim.pg(site).is_ready() {
                    return;
                }
                let inner = proc.clone();
                proc.sim.exec.spawn(proc.id, async move {
                    inner.sleep(pause).await;
                    inner.sim.promoted(site);
                });
                reply.send(());
            })
            .await;
        asked.ok_or("ask for promotion")?;
        let promoted = async {
            while self.pg(site).is_standby() {
                if !self.pg(site).is_running() {
                    return Err("promote a server that has ended");
                }
                agent.sleep(POLL).await;
            }
            Ok(())
        };
        agent.timeout(PROMOTE_LIMIT, promoted).await.unwrap_or(Err("finish the promotion in time"))
    }

    fn promoted(&self, site: usize) {
        if !self.pg(site).is_standby() {
            return;
        }
        let connection = {
            let mut run = self.pg(site).run.borrow_mut();
            run.as_mut().and_then(|run| run.receiver.take())
        };
        if let Some(connection) = connection {
            self.close_upwards(&connection);
        }
        {
            let mut disk = self.pg(site).disk.borrow_mut();
            let timeline = self.wal.timeline(disk.head) + 1;
            disk.head = self.wal.append(disk.head, timeline, self.exec.pick(24..200), What::Other);
            disk.standby = false;
            disk.clean = None;
            // What could not be replayed is not there.
            disk.phantom = None;
        }
        self.wake_senders(site);
        self.check_promoted(site);
    }
}
