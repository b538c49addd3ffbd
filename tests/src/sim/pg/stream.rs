//! Streaming replication: a walsender and a walreceiver, and the connection between them.
//!
//! A connection keeps its order and loses nothing; one that is cut off for three seconds breaks, and
//! each end notices for itself. The walsender asks what PostgreSQL asks: whether the timeline and the
//! position that the standby names are in its own history, by number. Whether the records are the
//! same it cannot see, and where they are not, the model says so (`Disk::phantom`). The position is
//! rounded down to a segment's beginning there, so that a standby that is ahead gets a stream too.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::exec::NodeId;
use super::super::wal::{At, Relation};
use super::super::{Proc, Sim};
use super::Conf;

/// `wal_sender_timeout` and `wal_receiver_timeout`.
const BROKEN: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(2);
/// How often an idle end looks whether the other is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How often a segment that got lost is sent again.
const RESEND: Duration = Duration::from_millis(200);

pub struct Connection {
    upstream: usize,
    downstream: usize,
    /// Whether each end still holds it open.
    up: Cell<bool>,
    down: Cell<bool>,
    /// What has arrived and is not flushed yet.
    inbox: Cell<Option<At>>,
    arrived: Notify,
    /// When the last message of each direction arrives: nothing overtakes it.
    last: [Cell<u64>; 2],
    /// The epoch in the standby's name.
    epoch: u64,
    /// The standby's history is not the one that is streamed.
    phantom: bool,
}

/// What the upstream knows of one standby.
pub struct Sender {
    pub site: usize,
    /// The epoch in the standby's name.
    pub epoch: u64,
    pub connection: Rc<Connection>,
    pub flushed: Cell<u64>,
    pub streaming: Cell<bool>,
    pub counted: Cell<bool>,
    sent: RefCell<At>,
    wake: Notify,
}

impl Sim {
    /// The walreceiver: connects, receives, and tries again.
    pub async fn receive_for_ever(self: &Rc<Self>, proc: &Proc, site: usize) {
        loop {
            let (source, changed) = {
                let run = self.pg(site).run.borrow();
                let Some(run) = run.as_ref() else { return };
                let source = match &run.loaded {
                    Conf::Upstream(source) => *source,
                    Conf::Names { .. } => None,
                };
                (source, Rc::clone(&run.source_changed))
            };
            if !self.pg(site).is_standby() {
                return;
            }
            let Some((upstream, epoch)) = source else {
                changed.notified().await;
                continue;
            };
            if let Some(connection) = self.connect(proc, site, upstream, epoch).await {
                self.set_receiver(site, Some(&connection));
                tokio::select! {
                    biased;
                    () = self.receive(proc, site, &connection) => {}
                    () = changed.notified() => {}
                }
                self.close_upwards(&connection);
                self.set_receiver(site, None);
            }
            proc.sleep(RETRY).await;
        }
    }

    fn set_receiver(&self, site: usize, connection: Option<&Rc<Connection>>) {
        if let Some(run) = self.pg(site).run.borrow_mut().as_mut() {
            run.receiver = connection.cloned();
        }
    }

    async fn connect(
        self: &Rc<Self>,
        proc: &Proc,
        site: usize,
        upstream: usize,
        epoch: u64,
    ) -> Option<Rc<Connection>> {
        let head = self.pg(site).head();
        self.call(proc, self.sites[upstream].postgres, CONNECT, move |proc, reply| async move {
            if let Some(connection) = proc.sim.accept(&proc, upstream, site, epoch, head) {
                reply.send(connection);
            }
        })
        .await
    }

    /// Begins to stream to a standby, if its place in the WAL is known here.
    fn accept(
        self: &Rc<Self>,
        proc: &Proc,
        upstream: usize,
        site: usize,
        epoch: u64,
        from: At,
    ) -> Option<Rc<Connection>> {
        if !self.pg(upstream).is_ready() || upstream == site {
            return None;
        }
        let ours = self.pg(upstream).head();
        let phantom = match self.wal.compare(from, ours) {
            Relation::Within | Relation::Beyond => false,
            Relation::Diverged if self.wal.timeline(from) == self.wal.timeline(ours) => true,
            Relation::Diverged => return None,
        };
        let connection = Rc::new(Connection {
            upstream,
            downstream: site,
            up: Cell::new(true),
            down: Cell::new(true),
            inbox: Cell::new(None),
            arrived: Notify::new(),
            last: [Cell::new(0), Cell::new(0)],
            epoch,
            phantom,
        });
        let sender = Rc::new(Sender {
            site,
            epoch,
            connection: Rc::clone(&connection),
            flushed: Cell::new(0),
            streaming: Cell::new(false),
            counted: Cell::new(false),
            sent: RefCell::new(if phantom { ours } else { from }),
            wake: Notify::new(),
        });
        self.pg(upstream).run.borrow_mut().as_mut()?.senders.push(Rc::clone(&sender));
        self.count_sender(upstream, &sender);
        let inner = proc.clone();
        self.exec.spawn(proc.id, async move { inner.sim.clone().stream(&inner, &sender).await });
        Some(connection)
    }

    /// Decides whether a standby's flush counts, by its name and what is loaded.
    pub fn count_sender(&self, upstream: usize, sender: &Sender) {
        let counted = {
            let run = self.pg(upstream).run.borrow();
            match run.as_ref().map(|run| &run.loaded) {
                Some(Conf::Names { sites, epoch, .. }) => {
                    *epoch == sender.epoch && sites.contains(&sender.site)
                }
                Some(Conf::Upstream(_)) | None => false,
            }
        };
        sender.counted.set(counted);
        self.release_waiters(upstream);
    }

    /// The walsender: sends what there is, until the connection is over.
    async fn stream(self: &Rc<Self>, proc: &Proc, sender: &Rc<Sender>) {
        let connection = &sender.connection;
        let (here, there) = ends(connection);
        let receiver = self.sites[connection.downstream].postgres;
        let mut heard = proc.now();
        while connection.up.get() {
            if !self.exec.is_stopped(receiver) {
                heard = proc.now();
            } else if proc.now() >= heard + BROKEN {
                break;
            }
            let end = self.pg(connection.upstream).head();
            let sent = *sender.sent.borrow();
            match self.wal.compare(sent, end) {
                Relation::Within if sent != end || !sender.streaming.get() => {
                    if !self.passes(proc, here, there).await {
                        break;
                    }
                    *sender.sent.borrow_mut() = end;
                    sender.streaming.set(true);
                    let arrives = self.in_order(&connection.last[0], here, there);
                    let to = Rc::clone(connection);
                    self.exec.at(arrives, move || {
                        to.inbox.set(Some(end));
                        to.arrived.notify_one();
                    });
                }
                Relation::Within | Relation::Beyond => {
                    sender.streaming.set(true);
                    tokio::select! {
                        biased;
                        () = sender.wake.notified() => {}
                        () = proc.sleep(LOOK) => {
                            if self.is_apart(here, there) && !self.passes(proc, here, there).await {
                                break;
                            }
                        }
                    }
                }
                // A new timeline has begun before what the standby has.
                Relation::Diverged => break,
            }
        }
        self.close_downwards(sender);
        if let Some(run) = self.pg(connection.upstream).run.borrow_mut().as_mut() {
            run.senders.retain(|other| !Rc::ptr_eq(other, sender));
        }
    }

    async fn receive(self: &Rc<Self>, proc: &Proc, site: usize, connection: &Rc<Connection>) {
        let (up, here) = ends(connection);
        self.report(connection);
        while connection.down.get() {
            if let Some(upto) = connection.inbox.take() {
                self.flush(proc, site).await;
                if !connection.down.get() || !self.pg(site).is_standby() {
                    return;
                }
                {
                    let mut disk = self.pg(site).disk.borrow_mut();
                    if connection.phantom {
                        disk.phantom = Some(self.wal.lsn(upto));
                    } else if self.wal.compare(disk.head, upto) == Relation::Within {
                        disk.head = upto;
                    }
                }
                self.check_received(site, connection.epoch);
                self.wake_senders(site);
                if !self.passes(proc, here, up).await {
                    return;
                }
                self.report(connection);
                continue;
            }
            tokio::select! {
                biased;
                () = connection.arrived.notified() => {}
                () = proc.sleep(LOOK) => {
                    if !connection.up.get() && !self.is_apart(here, up) {
                        return;
                    }
                    if self.is_apart(here, up) && !self.passes(proc, here, up).await {
                        return;
                    }
                }
            }
        }
    }

    /// Tells the upstream how far this standby has flushed.
    fn report(self: &Rc<Self>, connection: &Rc<Connection>) {
        let (up, down) = (connection.upstream, connection.downstream);
        let flushed = self.flushed(down);
        let arrives = self.in_order(&connection.last[1], down, up);
        let (sim, connection) = (Rc::clone(self), Rc::clone(connection));
        self.exec.at(arrives, move || {
            let proc = sim.proc(sim.sites[up].postgres);
            if !connection.up.get() {
                return;
            }
            sim.exec.spawn(proc.id, async move { proc.sim.flushed_to(&connection, flushed) });
        });
    }

    fn flushed_to(&self, connection: &Rc<Connection>, flushed: u64) {
        let up = connection.upstream;
        let sender = {
            let run = self.pg(up).run.borrow();
            let mut senders = run.iter().flat_map(|run| &run.senders);
            senders.find(|sender| Rc::ptr_eq(&sender.connection, connection)).cloned()
        };
        // What arrived before the connection ended still counts.
        if let Some(sender) = sender {
            sender.flushed.set(sender.flushed.get().max(flushed));
            self.release_waiters(up);
        }
    }

    /// Returns the furthest position a site reports.
    #[must_use]
    pub fn flushed(&self, site: usize) -> u64 {
        let disk = self.pg(site).disk.borrow();
        self.wal.lsn(disk.head).max(disk.phantom.unwrap_or(0))
    }

    /// Returns whether a standby that streams has not confirmed everything up to `lsn`.
    pub fn has_behind(&self, site: usize, lsn: u64) -> bool {
        let run = self.pg(site).run.borrow();
        let mut senders = run.iter().flat_map(|run| &run.senders);
        senders.any(|sender| sender.connection.up.get() && sender.flushed.get() < lsn)
    }

    pub fn wake_senders(&self, site: usize) {
        if let Some(run) = self.pg(site).run.borrow().as_ref() {
            for sender in &run.senders {
                sender.wake.notify_one();
            }
        }
    }

    /// The upstream's end is closed; the standby hears of it, unless they are cut off.
    pub fn close_downwards(&self, sender: &Rc<Sender>) {
        let connection = Rc::clone(&sender.connection);
        connection.up.set(false);
        let (here, there) = ends(&connection);
        if !self.net.is_cut(here, there) {
            let arrives = self.in_order(&connection.last[0], here, there);
            self.exec.at(arrives, move || {
                connection.down.set(false);
                connection.arrived.notify_one();
            });
        }
    }

    /// The standby's end is closed.
    pub fn close_upwards(&self, connection: &Rc<Connection>) {
        connection.down.set(false);
        let (there, here) = ends(connection);
        if !self.net.is_cut(here, there) {
            let arrives = self.in_order(&connection.last[1], here, there);
            let (up, connection) = (connection.upstream, Rc::clone(connection));
            let senders = self.pg(up).run.borrow().as_ref().map(|run| run.senders.clone());
            let sender = senders.into_iter().flatten();
            let mut sender = sender.filter(|it| Rc::ptr_eq(&it.connection, &connection));
            let sender = sender.next();
            self.exec.at(arrives, move || {
                connection.up.set(false);
                if let Some(sender) = sender {
                    sender.wake.notify_one();
                }
            });
        }
    }

    fn is_apart(&self, one: NodeId, other: NodeId) -> bool {
        self.net.is_cut(one, other) || self.net.is_cut(other, one)
    }

    /// Waits until a segment gets through; false if that takes so long that the connection is over.
    async fn passes(&self, proc: &Proc, from: NodeId, to: NodeId) -> bool {
        let deadline = proc.now() + BROKEN;
        while self.is_apart(from, to) {
            if proc.now() >= deadline {
                return false;
            }
            proc.sleep(RESEND).await;
        }
        true
    }

    fn in_order(&self, last: &Cell<u64>, from: NodeId, to: NodeId) -> u64 {
        let arrives = (self.exec.now() + self.delay(from, to)).max(last.get());
        last.set(arrives);
        arrives
    }
}

/// A site's number is its machine's.
fn ends(connection: &Connection) -> (NodeId, NodeId) {
    (connection.upstream, connection.downstream)
}
