//! A world to decide in: three cells, what happens to them when, and one observer of it all. Shared by
//! the situations of all decisions that look at sites.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::wire::report::{Flush, Room, RouterReport, SiteReport, TrafficSecond};
use topology::wire::vantage::{DeepOutcome, Health, SightedSite, VantageReport};
use topology::{Cause, CellId, Epoch, Failure, Phase, Placement, RegionId, SiteId, Spec, Version};

use super::state::Deep;
use super::verdict::World as Known;
use super::{Action, Fact, Policy, State, first_start};
use crate::store::{Kept, Lease, Reading};

/// How far the world moves between two looks at it.
const STEP: f64 = 0.05;

pub(super) fn time(at: f64) -> String {
    let text = format!("{at:.2}");
    text.strip_suffix('0').map_or(text.clone(), ToOwned::to_owned)
}

/// Runs the world, and returns each kind of decision about each cell once, with when it was made.
pub(super) fn decisions(vantage: &str, script: &str, until: f64) -> Vec<(f64, Action)> {
    let mut seen = BTreeSet::new();
    let mut decided = Vec::new();
    run(vantage, script, until, |at, world| {
        for action in crate::decide::decide(world.state, world.policy, world.now) {
            let cell = format!("{action}").split(',').next().unwrap_or_default().to_owned();
            if seen.insert(cell) {
                decided.push((at, action));
            }
        }
    });
    decided
}

/// Runs the world, and lets somebody look at what the observer knows after every step.
pub(super) fn run(vantage: &str, script: &str, until: f64, mut look: impl FnMut(f64, Known<'_>)) {
    let spec = spec();
    let policy = Policy::new(&spec, &vantage.parse().unwrap());
    let mut events: Vec<(f64, Vec<&str>)> = script
        .split(';')
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (at, what) = line.trim().split_once(' ').unwrap();
            (at.parse().unwrap(), what.split_whitespace().collect())
        })
        .rev()
        .collect();
    let mut world = World::healthy(&spec);
    let mut state = State::default();
    let start = Instant::now();
    for step in 0u32.. {
        let at = f64::from(step) * STEP;
        if at > until {
            break;
        }
        while events.last().is_some_and(|(due, _)| *due <= at + STEP / 2.0) {
            let (_, what) = events.pop().unwrap();
            world.happen(&what);
        }
        let now = start + Duration::from_millis(u64::from(step) * 50);
        if step % 10 == 0 {
            world.renew();
        }
        state.saw(world.read(), now);
        if step % 5 == 0 {
            for fact in world.probes(&spec) {
                state.saw(fact, now);
            }
        }
        if step % 20 == 0 {
            for fact in world.deep_probes(&spec) {
                state.saw(fact, now);
            }
            world.count_traffic(step);
        }
        world.tell(&spec, step);
        look(at, Known { state: &state, policy: &policy, now });
    }
}

/// What is really the case.
struct World {
    reading: Reading,
    revision: u64,
    etcd: bool,
    /// Sites that do not renew their lease.
    silent: BTreeSet<SiteId>,
    /// Sites that do not answer this observer.
    cut_off: BTreeSet<SiteId>,
    /// Sites that say that they serve.
    serving: BTreeSet<SiteId>,
    /// Epochs that sites say they know, where it is not 7.
    epochs: BTreeMap<SiteId, u64>,
    /// Active sites say that they serve, every site does what users need, and users ask.
    lively: bool,
    /// What probes through the services meet, where it is not the usual.
    deep: BTreeMap<SiteId, Deep>,
    /// Active sites that say that their database does not answer.
    ailing: BTreeSet<SiteId>,
    /// Active sites that say that their disk is slow.
    slow_disks: BTreeSet<SiteId>,
    /// How many bytes are left at sites, where it is not the usual; without any they say that they are full.
    room: BTreeMap<SiteId, u64>,
    /// What users get, where it is not the usual.
    traffic: BTreeMap<CellId, TrafficSecond>,
    /// What the other vantages tell that is not as it should be; those that tell nothing are not here.
    rows: BTreeMap<RegionId, BTreeMap<SiteId, Health>>,
    mute: BTreeSet<RegionId>,
}

/// What users usually get in a second.
const USUAL: TrafficSecond =
    TrafficSecond { requests: 10, failed: 0, unreachable: 0, median_ms: 20 };

impl World {
    /// Every cell is steady at home under epoch 7.
    fn healthy(spec: &Spec) -> Self {
        let mut reading = Reading {
            placement: Some(Placement::plan(&spec.weights(), Version(1))),
            ..Reading::default()
        };
        for cell in &spec.cells {
            let mut routed = first_start::cell(spec, cell);
            routed.activation.epoch = Epoch(7);
            routed.activation.phase = Phase::Steady { active: cell.home.clone() };
            routed.activation.system = Some(1);
            reading.cells.insert(cell.id.clone(), Kept::at(1, routed));
        }
        let (silent, cut_off, serving) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self {
            reading,
            revision: 1,
            etcd: true,
            silent,
            cut_off,
            serving,
            epochs: BTreeMap::new(),
            lively: false,
            deep: BTreeMap::new(),
            ailing: BTreeSet::new(),
            slow_disks: BTreeSet::new(),
            room: BTreeMap::new(),
            traffic: BTreeMap::new(),
            rows: BTreeMap::new(),
            mute: BTreeSet::new(),
        }
    }

    fn happen(&mut self, what: &[&str]) {
        match what {
            ["all", "is", "lively"] => self.lively = true,
            ["all", "vantages", "tell"] => {
                for region in ["east", "north", "south"] {
                    self.rows.entry(region.parse().unwrap()).or_default();
                }
            }
            [vantage, "falls", "mute"] => {
                self.mute.insert(vantage.parse().unwrap());
            }
            [vantage, "sees", site, how] => {
                let health = Health::ALL.into_iter().find(|health| health.name() == *how).unwrap();
                let row = self.rows.entry(vantage.parse().unwrap()).or_default();
                row.insert(site.parse().unwrap(), health);
            }
            [site, "answers", "slowly"] => {
                let deep = deep(DeepOutcome::Wrote, 900);
                self.answers(site, Some(deep), Health::Slow);
            }
            [site, "answers", "nothing"] => {
                let deep = deep(DeepOutcome::Failed, 1_000);
                self.answers(site, Some(deep), Health::Failing);
            }
            [site, "answers", "well"] => self.answers(site, None, Health::Healthy),
            [site, "has", "no", "database"] => {
                self.ailing.insert(site.parse().unwrap());
            }
            [site, "has", "no", "room"] => {
                self.room.insert(site.parse().unwrap(), 0);
            }
            [site, "has", megabytes, "MB"] => {
                let left = megabytes.parse::<u64>().unwrap() * 1024 * 1024;
                self.room.insert(site.parse().unwrap(), left);
            }
            [site, "has", "a", "slow", "disk"] => {
                self.slow_disks.insert(site.parse().unwrap());
            }
            ["users", "of", cell, how] => {
                let second = match *how {
                    "wait" => TrafficSecond { median_ms: 2500, ..USUAL },
                    "fail" => TrafficSecond { failed: 8, ..USUAL },
                    "miss" => TrafficSecond { requests: 20, unreachable: 1, ..USUAL },
                    "strand" => TrafficSecond { requests: 20, unreachable: 40, ..USUAL },
                    "crowd" => TrafficSecond { requests: 200, median_ms: 2500, ..USUAL },
                    other => panic!("{other:?} is nothing users do"),
                };
                self.traffic.insert(cell.parse().unwrap(), second);
            }
            ["etcd", "is", state] => self.etcd = *state == "back",
            ["nothing", "is", "stored"] => self.reading = Reading::default(),
            [site, "dies"] | [site, "was", "never", "up"] => {
                self.silent.insert(site.parse().unwrap());
                self.cut_off.insert(site.parse().unwrap());
            }
            [site, "lives"] => {
                self.silent.remove(&site.parse().unwrap());
                self.cut_off.remove(&site.parse().unwrap());
            }
            [site, "stops", "renewing"] => {
                self.silent.insert(site.parse().unwrap());
            }
            [site, "is", "cut", "off"] => {
                self.cut_off.insert(site.parse().unwrap());
            }
            [site, "is", "joined"] => {
                self.cut_off.remove(&site.parse().unwrap());
            }
            [site, "holds", "the", "lease"] => {
                let site: SiteId = site.parse().unwrap();
                self.silent.retain(|silent| *silent != site);
            }
            [site, "serves"] => {
                self.serving.insert(site.parse().unwrap());
            }
            [site, "knows", "epoch", epoch] => {
                self.epochs.insert(site.parse().unwrap(), epoch.parse().unwrap());
            }
            [cell, "gone"] => {
                self.reading.cells.remove(&cell.parse().unwrap());
                self.next_generation();
            }
            [cell, epoch, "back"] => {
                let kept = self.reading.cells.get_mut(&cell.parse().unwrap()).unwrap();
                kept.value.activation.epoch = Epoch(epoch.parse().unwrap());
                self.next_generation();
                // Its renewals are conditional on a record that is gone.
                self.silent.insert(format!("{cell}@east").parse().unwrap());
            }
            [cell, epoch, phase @ ..] => self.move_cell(cell, epoch.parse().unwrap(), phase),
            other => panic!("{other:?} cannot happen"),
        }
    }

    fn move_cell(&mut self, cell: &str, epoch: u64, phase: &[&str]) {
        self.revision += 1;
        let kept = self.reading.cells.get_mut(&cell.parse().unwrap()).unwrap();
        (kept.revision, kept.version) = (self.revision, Version(self.revision));
        let activation = &mut kept.value.activation;
        activation.epoch = Epoch(epoch);
        activation.phase = match phase {
            ["promoting", active] => {
                // It renews only once it is said to hold the lease.
                let site = format!("{cell}@{active}");
                self.silent.insert(site.parse().unwrap());
                Phase::Promoting { active: active.parse().unwrap() }
            }
            ["first", active] => {
                activation.system = None;
                Phase::Promoting { active: active.parse().unwrap() }
            }
            ["switching", active, target] => Phase::Switching {
                active: active.parse().unwrap(),
                target: target.parse().unwrap(),
            },
            ["steady", active] => Phase::Steady { active: active.parse().unwrap() },
            ["electing", predecessor] => {
                Phase::Electing { predecessor: Some(predecessor.parse().unwrap()) }
            }
            ["given-up-by", predecessor] => {
                activation.cause = Some(Cause::failure(Failure::GaveUp));
                Phase::Electing { predecessor: Some(predecessor.parse().unwrap()) }
            }
            other => panic!("{other:?} is no phase"),
        };
    }

    /// etcd has gone back in time, and somebody has noticed.
    fn next_generation(&mut self) {
        self.reading.generation = Version::at(1, 1);
        for kept in self.reading.cells.values_mut() {
            kept.version = Version::at(1, kept.revision);
        }
    }

    /// Every active site that can writes its lease again.
    fn renew(&mut self) {
        if !self.etcd {
            return;
        }
        for (cell, kept) in &self.reading.cells {
            let activation = &kept.value.activation;
            let Some(holder) = activation.holder() else { continue };
            let site = SiteId { cell: cell.clone(), region: holder.clone() };
            if !self.silent.contains(&site) {
                self.revision += 1;
                let lease = Lease { holder: holder.clone(), epoch: activation.epoch, sequence: 1 };
                let kept = Kept::at(self.revision, lease);
                self.reading.leases.insert(cell.clone(), kept);
            }
        }
    }

    fn read(&self) -> Fact {
        if self.etcd { Fact::Read(self.reading.clone()) } else { Fact::ReadFailed }
    }

    /// What everybody meets who asks the site's services.
    fn answers(&mut self, site: &str, deep: Option<Deep>, health: Health) {
        let site: SiteId = site.parse().unwrap();
        for row in self.rows.values_mut() {
            row.insert(site.clone(), health);
        }
        match deep {
            Some(deep) => drop(self.deep.insert(site, deep)),
            None => drop(self.deep.remove(&site)),
        }
    }

    fn is_active(&self, site: &SiteId) -> bool {
        let kept = self.reading.cells.get(&site.cell);
        kept.is_some_and(|kept| kept.value.activation.holder() == Some(&site.region))
    }

    fn deep_probes(&self, spec: &Spec) -> Vec<Fact> {
        if !self.lively {
            return Vec::new();
        }
        let tried = |site: SiteId| {
            let outcome =
                if self.is_active(&site) { DeepOutcome::Wrote } else { DeepOutcome::Read };
            let deep = self.deep.get(&site).copied().unwrap_or(deep(outcome, 5));
            Fact::Tried { site, deep }
        };
        sites(spec).filter(|site| !self.cut_off.contains(site)).map(tried).collect()
    }

    /// A router reports once a second.
    fn count_traffic(&mut self, step: u32) {
        if !self.lively {
            return;
        }
        let seconds = self.reading.cells.keys().map(|cell| {
            let second = self.traffic.get(cell).copied().unwrap_or(USUAL);
            (cell.to_string(), vec![second])
        });
        let (version, stale, held) = (1, false, 0);
        let report = RouterReport {
            sequence: u64::from(step),
            version,
            stale,
            held,
            traffic: seconds.collect(),
        };
        self.reading.routers.insert("1".to_owned(), report);
    }

    /// The other vantages write what they see.
    fn tell(&mut self, spec: &Spec, step: u32) {
        for (vantage, row) in &self.rows {
            if self.mute.contains(vantage) {
                continue;
            }
            let sites = sites(spec).map(|site| {
                let health = row.get(&site).copied().unwrap_or(Health::Healthy);
                let reachable = health != Health::Unreachable;
                (site.to_string(), SightedSite { reachable, health, ..SightedSite::default() })
            });
            let report = VantageReport { sequence: u64::from(step), sites: sites.collect() };
            self.reading.vantages.insert(vantage.clone(), Arc::new(report));
        }
    }

    fn probes(&self, spec: &Spec) -> Vec<Fact> {
        sites(spec)
            .map(|site| {
                let answer = (!self.cut_off.contains(&site)).then(|| {
                    let mut report = report();
                    if self.serving.contains(&site) {
                        report.tenure = TenureName::Serving;
                    }
                    if self.lively && self.is_active(&site) {
                        report.tenure = TenureName::Serving;
                        report.postgres = "primary".to_owned();
                        let lags = ["east", "north", "south"].map(|region| (region.to_owned(), 0));
                        report.lag_bytes = lags.into();
                    }
                    if self.ailing.contains(&site) {
                        report.postgres = "starting".to_owned();
                        report.lag_bytes.clear();
                    }
                    if self.slow_disks.contains(&site) {
                        let (latency_us, usual_us) = (300_000, Some(2_000));
                        report.flush = Some(Flush { latency_us, usual_us, slow: true });
                    }
                    let left_bytes = self.room.get(&site).copied().unwrap_or(1 << 30);
                    report.room = Some(Room { left_bytes, full: left_bytes == 0 });
                    report.epoch = self.epochs.get(&site).copied().unwrap_or(report.epoch);
                    report
                });
                Fact::Probed { site, answer }
            })
            .collect()
    }
}

fn deep(outcome: DeepOutcome, millis: u64) -> Deep {
    Deep { outcome, took: Duration::from_millis(millis), anew: false }
}

fn sites(spec: &Spec) -> impl Iterator<Item = SiteId> {
    spec.cells.iter().flat_map(|cell| {
        cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
    })
}

fn report() -> SiteReport {
    SiteReport {
        sequence: 1,
        tenure: TenureName::Standby,
        epoch: 7,
        postgres: "standby".to_owned(),
        lsn: 1,
        timeline: 1,
        lag_bytes: BTreeMap::new(),
        flush: None,
        room: None,
        services: BTreeMap::new(),
        at_risk: false,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}

fn spec() -> Spec {
    Spec::parse(include_str!("../../../regions.yaml")).unwrap()
}
