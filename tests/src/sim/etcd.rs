//! etcd: one linearizable store of a cell's record and its lease, changed by compare-and-swap.
//!
//! Its members are not modelled, only what their users notice: nobody answers while a leader is
//! elected or most members are gone, what was asked then is lost or carried out late, answers get
//! lost, reads may be stale after a pause (as in the versions that are still packaged), and hints
//! get lost. The client asks three times, each try with its own deadline, as the real one does.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use client::etcd::{PutIf, TRY};
use control_plane::store::{Kept, Lease};
use topology::Version;
use topology::snapshot::RoutedCell;
use topology::wire::report::RouterReport;
use topology::wire::vantage::VantageReport;

use super::{Proc, Sim};

const MEMBERS: usize = 3;
/// How many states a stale read may be behind.
const HISTORY: usize = 40;

/// What is stored, at one revision.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub revision: u64,
    pub cell: Option<Kept<Rc<RoutedCell>>>,
    pub lease: Option<Kept<Lease>>,
    /// By the number of the control plane. What these tell is not part of the history.
    pub vantages: BTreeMap<usize, Arc<VantageReport>>,
    pub router: Option<Rc<RouterReport>>,
}

#[derive(Clone, Debug)]
pub enum Put {
    Cell(Rc<RoutedCell>),
    Lease(Lease),
    Vantage(usize, Arc<VantageReport>),
    Router(Rc<RouterReport>),
}

/// What must be unchanged: the record's revision, and the lease's where it matters.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub cell: u64,
    pub lease: Option<u64>,
}

/// No try was answered: nobody knows whether it was written.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered;

/// A value and the revision that wrote it. Etcd never goes back in time here: there is one generation.
#[must_use]
pub fn kept<T>(revision: u64, value: T) -> Kept<T> {
    Kept { revision, version: Version::at(0, revision), value }
}

#[derive(Default)]
pub struct Etcd {
    pub stored: RefCell<Stored>,
    history: RefCell<VecDeque<Stored>>,
    /// A leader is being elected.
    pub leaderless: Cell<bool>,
    /// Until when reads may be stale.
    pub stale_until: Cell<u64>,
}

impl Sim {
    /// Writes if nothing expected has changed. A try whose answer was lost is found by its value.
    pub async fn put_if(
        self: &Rc<Self>,
        from: &Proc,
        put: Put,
        expected: Expected,
    ) -> Result<PutIf, Unanswered> {
        for _ in 0..MEMBERS {
            let put = put.clone();
            let answer = self
                .call(from, self.etcd_proc(), TRY, move |etcd, reply| {
                    let put = put.clone();
                    async move {
                        if !etcd.sim.etcd_takes(&etcd).await {
                            // Lost with the leader: the asker hears nothing.
                            return std::future::pending().await;
                        }
                        reply.send(etcd.sim.apply(&put, expected));
                    }
                })
                .await;
            if let Some(put) = answer {
                return Ok(put);
            }
        }
        Err(Unanswered)
    }

    /// Writes what nothing is conditional on. Nobody waits for it to have happened.
    pub async fn tell(self: &Rc<Self>, from: &Proc, put: Put) {
        let told = self.call(from, self.etcd_proc(), TRY, move |etcd, reply| {
            let put = put.clone();
            async move {
                if etcd.sim.etcd_takes(&etcd).await {
                    etcd.sim.take(&put);
                    reply.send(());
                }
            }
        });
        let _unheard: Option<()> = told.await;
    }

    fn take(self: &Rc<Self>, put: &Put) {
        {
            let mut stored = self.etcd.stored.borrow_mut();
            match put {
                Put::Vantage(index, report) => {
                    stored.vantages.insert(*index, Arc::clone(report));
                }
                Put::Router(report) => stored.router = Some(Rc::clone(report)),
                Put::Cell(_) | Put::Lease(_) => return,
            }
        }
        self.hint_everybody(false);
    }

    /// Reads everything; possibly what it was a while ago.
    pub async fn read(self: &Rc<Self>, from: &Proc) -> Result<Stored, Unanswered> {
        for _ in 0..MEMBERS {
            let answer = self
                .call(from, self.etcd_proc(), TRY, |etcd, reply| async move {
                    if !etcd.sim.etcd_takes(&etcd).await {
                        return std::future::pending().await;
                    }
                    reply.send(etcd.sim.stored_or_stale());
                })
                .await;
            if let Some(stored) = answer {
                return Ok(stored);
            }
        }
        Err(Unanswered)
    }

    /// Waits for what a transaction takes. Without a leader it is forgotten, or kept until there is
    /// one again.
    async fn etcd_takes(&self, etcd: &Proc) -> bool {
        while self.etcd.leaderless.get() {
            if self.exec.chance() < 0.5 {
                return false;
            }
            etcd.sleep(Duration::from_millis(100)).await;
        }
        etcd.sleep(Duration::from_micros(self.exec.pick(500..4000))).await;
        true
    }

    fn stored_or_stale(&self) -> Stored {
        let history = self.etcd.history.borrow();
        if self.exec.now() < self.etcd.stale_until.get() && !history.is_empty() {
            let index = self.exec.pick(0..history.len() as u64);
            if let Some(stale) = history.get(usize::try_from(index).unwrap_or(0)) {
                return stale.clone();
            }
        }
        self.etcd.stored.borrow().clone()
    }

    fn apply(self: &Rc<Self>, put: &Put, expected: Expected) -> PutIf {
        let (done, changed) = {
            let mut stored = self.etcd.stored.borrow_mut();
            let cell = stored.cell.as_ref().map_or(0, |kept| kept.revision);
            let lease = stored.lease.as_ref().map_or(0, |kept| kept.revision);
            let unchanged = expected.cell == cell && expected.lease.is_none_or(|it| it == lease);
            if unchanged {
                let mut history = self.etcd.history.borrow_mut();
                history.push_back(stored.clone());
                if history.len() > HISTORY {
                    history.pop_front();
                }
                stored.revision += 1;
                let revision = stored.revision;
                let changed = match put {
                    Put::Cell(value) => {
                        let before = stored.cell.replace(kept(revision, Rc::clone(value)));
                        Some((before.map(|kept| kept.value), Rc::clone(value)))
                    }
                    Put::Lease(value) => {
                        stored.lease = Some(kept(revision, value.clone()));
                        None
                    }
                    Put::Vantage(..) | Put::Router(_) => None,
                };
                (PutIf::Done { revision }, changed)
            } else {
                let ours = match put {
                    Put::Cell(value) => {
                        stored.cell.as_ref().filter(|k| *k.value == **value).map(|k| k.revision)
                    }
                    Put::Lease(value) => {
                        stored.lease.as_ref().filter(|k| k.value == *value).map(|k| k.revision)
                    }
                    Put::Vantage(..) | Put::Router(_) => None,
                };
                (ours.map_or(PutIf::Stale, |revision| PutIf::Done { revision }), None)
            }
        };
        if let Some((before, after)) = changed {
            self.record_changed(before.as_deref(), &after);
            self.hint_everybody(true);
        } else if matches!(put, Put::Lease(_)) && matches!(done, PutIf::Done { .. }) {
            self.hint_everybody(false);
        }
        done
    }

    /// Wakes those who watch: everybody for the record, the control planes also for the lease.
    fn hint_everybody(self: &Rc<Self>, record: bool) {
        let sites = self.sites.iter().map(|site| (site.agent, site.refresh.clone()));
        let controllers = self.controllers.iter().map(|it| (it.proc, it.wake.clone()));
        let users = [(self.users_proc(), self.users.wake.clone())];
        let watching = controllers.chain(sites.chain(users).filter(|_| record));
        let etcd = self.exec.node(self.etcd_proc());
        for (proc, wake) in watching {
            if self.exec.chance() < 0.05 {
                continue;
            }
            self.send(etcd, self.exec.node(proc), move || wake.notify_one());
        }
    }
}
