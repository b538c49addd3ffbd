//! Faults, as they are done and undone.

use std::rc::Rc;

use topology::Phase;

use super::Sim;
use super::exec::NodeId;
use super::schedule::{Cut, Fault, Kind, Way, Who};

const MS: u64 = 1_000_000;

type Undo = Box<dyn FnOnce(&Rc<Sim>)>;

impl Sim {
    /// Puts a fault into the queue.
    pub fn plan(self: &Rc<Self>, fault: Fault) {
        let sim = Rc::clone(self);
        self.exec.at(fault.at * MS, move || {
            sim.trace(|| format!("fault: {:?}, for {} ms", fault.kind, fault.lasts));
            let undo = sim.inject(fault.kind);
            let later = Rc::clone(&sim);
            sim.exec.at((fault.at + fault.lasts) * MS, move || {
                later.trace(|| format!("healed: {:?}", fault.kind));
                undo(&later);
            });
        });
    }

    fn who(&self, who: Who) -> usize {
        let active = {
            let stored = self.etcd.stored.borrow();
            let activation = stored.cell.as_ref().map(|kept| &kept.value.activation);
            let region = activation.and_then(|activation| match &activation.phase {
                Phase::Electing { predecessor } => predecessor.clone(),
                Phase::Steady { .. } | Phase::Switching { .. } | Phase::Promoting { .. } => {
                    activation.holder().cloned()
                }
            });
            region.map_or(0, |region| self.index(&region))
        };
        match who {
            Who::Active => active,
            Who::Other(nth) => {
                let mut others = (0..self.sites.len()).filter(|site| *site != active);
                others.nth(nth).unwrap_or(active)
            }
        }
    }

    fn inject(self: &Rc<Self>, kind: Kind) -> Undo {
        match kind {
            Kind::StopAgent(who) => self.stop_procs(vec![self.sites[self.who(who)].agent]),
            Kind::StopPostgres(who) => self.stop_procs(vec![self.sites[self.who(who)].postgres]),
            Kind::StopGateway(who) => self.stop_procs(vec![self.sites[self.who(who)].gateway]),
            Kind::StopSite(who) => {
                let site = &self.sites[self.who(who)];
                self.stop_procs(vec![site.agent, site.postgres, site.gateway])
            }
            Kind::CrashSite(who) => {
                let site = self.who(who);
                self.crash_site(site);
                Box::new(move |sim| {
                    // Another fault may have brought it back already.
                    if sim.exec.is_down(sim.sites[site].agent) {
                        sim.start_site(site);
                    }
                })
            }
            Kind::CrashPostgres(who) => {
                self.pg_die(self.who(who));
                Box::new(|_| {})
            }
            Kind::SlowDisk(who, millis) => {
                let site = self.who(who);
                self.pg(site).slow.set(millis * MS);
                Box::new(move |sim| sim.pg(site).slow.set(0))
            }
            Kind::SlowGateway(who, millis) => {
                let site = self.who(who);
                self.sites[site].slow.set(millis);
                Box::new(move |sim| sim.sites[site].slow.set(0))
            }
            Kind::StopController(index) => self.stop_procs(vec![self.controllers[index].proc]),
            Kind::CrashController(index) => {
                self.exec.kill(self.controllers[index].proc);
                Box::new(move |sim| {
                    if sim.exec.is_down(sim.controllers[index].proc) {
                        sim.start_controller(index);
                    }
                })
            }
            Kind::Loss(percent) => {
                self.net.loss.set(f64::from(percent) / 100.0);
                Box::new(|sim| sim.net.loss.set(0.0))
            }
            Kind::Duplicates(percent) => {
                self.net.duplicates.set(f64::from(percent) / 100.0);
                Box::new(|sim| sim.net.duplicates.set(0.0))
            }
            Kind::Slow(millis) => {
                self.net.slow.set(millis * MS);
                Box::new(|sim| sim.net.slow.set(0))
            }
            Kind::EtcdElection => {
                self.etcd.leaderless.set(true);
                Box::new(|sim| {
                    sim.etcd.leaderless.set(false);
                    sim.etcd.stale_until.set(sim.exec.now() + 500 * MS);
                })
            }
            Kind::EtcdStop => self.stop_procs(vec![self.etcd_proc()]),
            Kind::EtcdCrash => {
                self.exec.kill(self.etcd_proc());
                Box::new(|sim| sim.exec.start(sim.etcd_proc()))
            }
            Kind::EtcdStale => {
                self.etcd.stale_until.set(u64::MAX);
                Box::new(|sim| sim.etcd.stale_until.set(0))
            }
            Kind::Switchover(to) => {
                let to = self.who(to);
                // Whichever control plane is asked.
                let asked = self.exec.pick(0..self.controllers.len() as u64);
                let asked = usize::try_from(asked).unwrap_or(0);
                self.controllers[asked].order.set(Some(to));
                Box::new(|_| {})
            }
            Kind::KeepOut(who) => {
                let site = self.who(who);
                self.kept_out.set(Some((site, true)));
                Box::new(move |sim| sim.kept_out.set(Some((site, false))))
            }
            Kind::Cut(cut, way) => self.cut(cut, way),
        }
    }

    fn stop_procs(self: &Rc<Self>, procs: Vec<usize>) -> Undo {
        for proc in &procs {
            self.exec.stop(*proc);
        }
        Box::new(move |sim| {
            for proc in &procs {
                sim.exec.resume(*proc);
            }
        })
    }

    fn cut(self: &Rc<Self>, cut: Cut, way: Way) -> Undo {
        let sites = self.sites.len();
        let (etcd, users) = (2 * sites, 2 * sites + 1);
        let (inside, outside): (Vec<NodeId>, Vec<NodeId>) = match cut {
            Cut::Sites(one, other) => (vec![self.who(one)], vec![self.who(other)]),
            Cut::FromEtcd(who) => (vec![self.who(who)], vec![etcd]),
            Cut::FromUsers(who) => (vec![self.who(who)], vec![users]),
            Cut::FromControllers(who) => (vec![self.who(who)], (sites..2 * sites).collect()),
            Cut::View(index) => (vec![sites + index], (0..sites).collect()),
            Cut::Region(who) => {
                let site = self.who(who);
                (0..=users).partition(|node| *node == site || *node == sites + site)
            }
        };
        let pairs: Vec<(NodeId, NodeId)> = inside
            .iter()
            .flat_map(|one| outside.iter().map(move |other| (*one, *other)))
            .flat_map(|(one, other)| match way {
                Way::Both => vec![(one, other), (other, one)],
                Way::Out => vec![(one, other)],
                Way::In => vec![(other, one)],
            })
            .collect();
        for (from, to) in &pairs {
            self.net.cut(*from, *to);
        }
        Box::new(move |sim| {
            for (from, to) in pairs {
                sim.heal(from, to);
            }
        })
    }
}
