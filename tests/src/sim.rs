//! A cell's sites, etcd, control planes and users in virtual time, from a seed.
//!
//! What decides is the product's own: `cell::agent::decide`, `control_plane::decide`,
//! `cell::gateway::decide::admit` and `topology`. What does is written again here, in the same order
//! of steps, on a network, clocks, disks, an etcd and a PostgreSQL that are models; each says where
//! it is simpler than the real thing. What must hold is checked at every step by `checker`: I1, I2, I3
//! and I5. I4 is about placement, and nothing here changes that: every slot is the one cell's from the
//! beginning to the end. It has something to assert once slots migrate.
//!
//! Start reading at `schedule.rs` for what goes wrong, and at `run.rs` for how a seed is run.

pub mod checker;
pub mod client;
pub mod controller;
pub mod elect;
pub mod etcd;
pub mod exec;
pub mod fault;
pub mod net;
pub mod pg;
pub mod run;
pub mod sabotage;
pub mod schedule;
pub mod site;
pub mod switch;
pub mod theme;
pub mod traffic;
pub mod vantage;
pub mod wal;
pub mod watch;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use control_plane::decide::Policy;
use runtime::clock::BootTime;
use tokio::sync::Notify;
use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::spec::LeasePolicy;
use topology::{Activation, CellId, Epoch, Phase, Placement, RegionId, SiteId, Version};

use checker::Checker;
use client::Users;
use controller::Controller;
use etcd::Etcd;
use exec::{Exec, NodeId, ProcId};
use net::Net;
use pg::Pg;
use sabotage::Sabotage;
use schedule::SITES;
use site::Site;
use wal::Wal;

const REGIONS: [&str; SITES] = ["east", "north", "south"];
/// As `regions.yaml` has them.
const LEASE: LeasePolicy = LeasePolicy {
    renew: Duration::from_millis(500),
    right: Duration::from_millis(1600),
    patience: Duration::from_secs(2),
};

/// One world.
pub struct Sim {
    pub exec: Exec,
    pub net: Net,
    pub wal: Wal,
    pub etcd: Etcd,
    pub sites: Vec<Site>,
    pub controllers: Vec<Controller>,
    pub users: Users,
    pub checker: RefCell<Checker>,
    pub policy: LeasePolicy,
    pub cell: CellId,
    pub placement: Arc<Placement>,
    /// Where the control planes' clocks begin.
    pub base: Instant,
    /// What people want of a site: that it is kept out, or let in again.
    pub kept_out: Cell<Option<(usize, bool)>>,
    sabotage: Option<Sabotage>,
    trace: Option<RefCell<Vec<String>>>,
    traced: Cell<usize>,
}

/// A process, as the code that runs in it sees it.
#[derive(Clone)]
pub struct Proc {
    pub sim: Rc<Sim>,
    pub id: ProcId,
    pub node: NodeId,
}

impl Proc {
    /// Reads the machine's clock.
    #[must_use]
    pub fn now(&self) -> BootTime {
        self.sim.exec.boot_time(self.node)
    }

    pub async fn sleep(&self, duration: Duration) {
        self.sim.exec.sleep(self.node, duration).await;
    }

    /// Waits no longer than `limit`.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }
}

impl Sim {
    /// Makes a cell whose first site was serving until everything was switched off.
    #[must_use]
    pub fn new(seed: u64, sabotage: Option<Sabotage>, trace: bool) -> Rc<Self> {
        let nodes = 2 * SITES + 2;
        let mut machines: Vec<NodeId> = (0..SITES).flat_map(|site| [site; 3]).collect();
        machines.extend(SITES..nodes);
        let exec = Exec::new(seed, nodes, &machines, !seed.is_multiple_of(4));
        let far: Vec<u64> = (0..nodes * nodes).map(|_| exec.pick(300_000..25_000_000)).collect();
        // The same both ways, and a region's control plane is near its site.
        let base = |from: usize, to: usize| match (from.min(to), from.max(to)) {
            (one, other) if one + SITES == other => 200_000,
            (one, other) => far[one * nodes + other],
        };
        let regions: Vec<RegionId> =
            REGIONS.iter().map(|name| name.parse().expect("a region's name")).collect();
        let cell: CellId = "c1".parse().expect("a cell's name");
        let site = |index: usize| Site {
            region: regions[index].clone(),
            agent: 3 * index,
            postgres: 3 * index + 1,
            gateway: 3 * index + 2,
            pg: Pg::new(index > 0),
            ballot: Cell::new(0),
            refresh: Rc::new(Notify::new()),
            shared: RefCell::new(None),
            right: Cell::new(None),
            in_flight: Cell::new(0),
            slow: Cell::new(0),
        };
        let policy = |vantage: usize| Policy {
            vantage: regions[vantage].clone(),
            regions: regions.clone(),
            cells: [cell.clone()].into(),
            lease: LEASE,
        };
        let controller = |index: usize| Controller::new(3 * SITES + index, policy(index));
        Rc::new(Self {
            net: Net::new(nodes, base),
            wal: Wal::default(),
            etcd: Etcd::default(),
            sites: (0..SITES).map(site).collect(),
            controllers: (0..SITES).map(controller).collect(),
            users: Users::default(),
            checker: RefCell::default(),
            policy: LEASE,
            placement: placement(&cell),
            cell,
            base: Instant::now(),
            kept_out: Cell::new(None),
            sabotage,
            trace: trace.then(RefCell::default),
            traced: Cell::new(0),
            exec,
        })
    }

    /// Switches everything on.
    pub fn start(self: &Rc<Self>) {
        self.etcd.stored.borrow_mut().revision = 1;
        let activation = Activation {
            epoch: Epoch(1),
            phase: Phase::Steady { active: self.sites[0].region.clone() },
            voters: self.sites[1..].iter().map(|site| site.region.clone()).collect(),
            retired: [].into(),
            acks: 1,
            system: Some(1),
            elected_at: None,
            cause: None,
            reason: String::new(),
        };
        let value = Rc::new(RoutedCell { activation, gateways: BTreeMap::new() });
        self.etcd.stored.borrow_mut().cell = Some(etcd::kept(1, value));
        for site in 0..SITES {
            self.exec.kill(self.sites[site].postgres);
            self.start_site(site);
        }
        for controller in 0..SITES {
            self.start_controller(controller);
        }
        self.start_users();
    }

    #[must_use]
    pub fn proc(self: &Rc<Self>, id: ProcId) -> Proc {
        Proc { sim: Rc::clone(self), id, node: self.exec.node(id) }
    }

    #[must_use]
    #[expect(clippy::unused_self, reason = "beside the others that are asked of a world")]
    pub fn etcd_proc(&self) -> ProcId {
        4 * SITES
    }

    #[must_use]
    #[expect(clippy::unused_self, reason = "beside the others that are asked of a world")]
    pub fn users_proc(&self) -> ProcId {
        4 * SITES + 1
    }

    /// Returns a site's number.
    ///
    /// # Panics
    ///
    /// Panics if there is none in the region: nothing in a simulation names another.
    #[must_use]
    pub fn index(&self, region: &RegionId) -> usize {
        let found = self.sites.iter().position(|site| site.region == *region);
        found.expect("a region of this cell")
    }

    #[must_use]
    pub fn name(&self, site: usize) -> &str {
        self.sites[site].region.as_str()
    }

    #[must_use]
    pub fn site_id(&self, site: usize) -> SiteId {
        SiteId { cell: self.cell.clone(), region: self.sites[site].region.clone() }
    }

    #[must_use]
    pub fn sabotaged(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    /// Notes a line, if anybody wants to read it.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let now = self.exec.now() / 1_000_000;
            trace.borrow_mut().push(format!("{:>3}.{:03} s  {}", now / 1000, now % 1000, line()));
            self.traced.set(self.traced.get() + 1);
        }
    }

    /// Returns what was noted, and drops everything that refers back to this world.
    pub fn end(&self) -> Vec<String> {
        self.exec.clear();
        self.net.clear();
        for site in &self.sites {
            drop(site.pg.run.borrow_mut().take());
            drop(site.shared.borrow_mut().take());
        }
        self.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }
}

/// Where every user belongs to the one cell; planned once.
fn placement(cell: &CellId) -> Arc<Placement> {
    static PLACEMENT: OnceLock<Arc<Placement>> = OnceLock::new();
    let plan = || Arc::new(Placement::plan(&[(cell.clone(), 1)].into(), Version::default()));
    Arc::clone(PLACEMENT.get_or_init(plan))
}
