//! A site: its agent, its gateway and its PostgreSQL, on one machine.
//!
//! The agent's tasks are those of `cell::agent`, in the same order of steps, with the pure decisions
//! called and not repeated. What they share is `Shared`, as there. Left out: the services behind the
//! gateway, the schema, the reports in etcd, and the watchdog: the gate and the votes must do without it.

pub mod abandon;
pub mod calls;
pub mod follow;
pub mod gateway;
pub mod hand_over;
pub mod keep;
pub mod open;
pub mod report;
pub mod right;
pub mod serve;
pub mod vote;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use cell::agent::decide::right::Right;
use cell::agent::decide::tenure::Tenure;
use cell::agent::decide::voter::Voter;
use cell::gateway::decide::admit;
use runtime::clock::BootTime;
use tokio::sync::{Notify, mpsc};
use topology::snapshot::RoutedCell;
use topology::wire::agent::{TenureLine, TenureName};
use topology::wire::report::SiteReport;
use topology::{Activation, Epoch, RegionId};

use super::exec::ProcId;
use super::pg::Pg;
use super::sabotage::Sabotage;
use super::{Proc, Sim, watch};
use calls::Call;

/// What outlives the site's processes: its place, its disk, and where its memory is found.
pub struct Site {
    pub region: RegionId,
    pub agent: ProcId,
    pub postgres: ProcId,
    pub gateway: ProcId,
    pub pg: Pg,
    /// The highest epoch voted for, as on disk.
    pub ballot: Cell<u64>,
    /// Asks the agent to read the record.
    pub refresh: Rc<Notify>,
    /// The running agent's memory.
    pub shared: RefCell<Option<Rc<Shared>>>,
    /// What the gateway last heard of the right.
    pub right: Cell<Option<admit::Right>>,
    /// How many milliseconds everything at the gateway takes longer.
    pub slow: Cell<u64>,
    pub in_flight: Cell<usize>,
}

/// The cell's record, and the revision that wrote it.
#[derive(Clone, Debug)]
pub struct Known {
    pub cell: Rc<RoutedCell>,
    pub revision: u64,
}

impl Known {
    #[must_use]
    pub fn activation(&self) -> &Activation {
        &self.cell.activation
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub tenure: Tenure,
    pub epoch: Epoch,
    pub open: bool,
    pub strong: bool,
    pub claim: Option<Claim>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub epoch: Epoch,
    pub revision: u64,
    pub voters: BTreeSet<RegionId>,
    pub acks: usize,
}

/// What the agent's tasks tell each other.
pub struct Shared {
    pub known: watch::Sender<Option<Known>>,
    pub standing: watch::Sender<Standing>,
    pub right: watch::Sender<Right>,
    pub tenure: watch::Sender<TenureLine>,
    pub lapsed: watch::Sender<Epoch>,
    pub report: RefCell<Option<SiteReport>>,
    pub voter: RefCell<Voter>,
    pub calls: mpsc::Sender<Call>,
    promises_begin: bool,
}

impl Shared {
    fn new(voter: Voter, calls: mpsc::Sender<Call>, promises_begin: bool) -> Self {
        let standing = Standing {
            tenure: Tenure::Standby,
            epoch: Epoch(0),
            open: false,
            strong: false,
            claim: None,
        };
        let line = TenureLine {
            tenure: TenureName::Standby,
            epoch: 0,
            valid_until: 0,
            open: false,
            strong: false,
            lagging: false,
        };
        Self {
            known: watch::Sender::new(None),
            standing: watch::Sender::new(standing),
            right: watch::Sender::new(Right::new(Epoch(0))),
            tenure: watch::Sender::new(line),
            lapsed: watch::Sender::new(Epoch(0)),
            report: RefCell::new(None),
            voter: RefCell::new(voter),
            calls,
            promises_begin,
        }
    }

    /// Takes a newer record; an older one, or one of an earlier epoch, changes nothing (I2).
    pub fn learn(&self, offered: Known) {
        self.known.send_if_modified(|known| {
            let newer = known.as_ref().is_none_or(|known| {
                offered.revision > known.revision
                    && offered.activation().epoch >= known.activation().epoch
            });
            if newer {
                *known = Some(offered);
            }
            newer
        });
    }

    /// Returns until when the site may acknowledge under the claimed epoch.
    #[must_use]
    pub fn valid_until(&self) -> BootTime {
        let standing = self.standing.borrow();
        let right = self.right.borrow();
        match &standing.claim {
            Some(claim) if claim.epoch == right.epoch() && self.promises_begin => {
                let promised = right.promised_until(&claim.voters, claim.acks);
                right.until(&claim.voters, claim.acks).max(promised)
            }
            Some(claim) if claim.epoch == right.epoch() => right.until(&claim.voters, claim.acks),
            Some(_) | None => BootTime::default(),
        }
    }
}

impl Sim {
    /// Starts a site's agent and gateway on what is on disk, as after a boot.
    pub fn start_site(self: &Rc<Self>, index: usize) {
        let site = &self.sites[index];
        self.exec.start(site.agent);
        self.exec.start(site.gateway);
        let agent = self.proc(site.agent);
        let started = if self.sabotaged(Sabotage::NoWaitAfterRestart) {
            BootTime::default()
        } else {
            agent.now()
        };
        let voter = Voter::new(Epoch(site.ballot.get()), started);
        let (calls, asked) = mpsc::channel(calls::CALLS);
        let shared =
            Rc::new(Shared::new(voter, calls, self.sabotaged(Sabotage::PromisesBeginARight)));
        *site.shared.borrow_mut() = Some(Rc::clone(&shared));
        site.right.set(None);
        site.in_flight.set(0);

        let tools = keep::Tools { proc: agent.clone(), site: index, shared: Rc::clone(&shared) };
        let keeper = keep::Keeper::new(tools.clone(), asked);
        self.exec.spawn(agent.id, keeper.run());
        self.exec.spawn(agent.id, follow::follow_cell(tools.clone()));
        self.exec.spawn(agent.id, right::renew(tools.clone()));
        self.exec.spawn(agent.id, right::collect_promises(tools.clone()));
        self.exec.spawn(agent.id, right::guard(tools.clone()));
        self.exec.spawn(agent.id, report::report(tools));
        let gateway: Proc = self.proc(site.gateway);
        self.exec.spawn(site.gateway, gateway::follow_right(gateway, index, shared));
    }

    /// Kills a site's processes: a server dies with its agent.
    pub fn crash_site(&self, index: usize) {
        let site = &self.sites[index];
        self.pg_die(index);
        self.exec.kill(site.agent);
        self.exec.kill(site.gateway);
        *site.shared.borrow_mut() = None;
        site.right.set(None);
    }
}
