//! A world of three regions for tests: what is said of it becomes a state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;
use topology::{
    Activation, Cause, CellId, Epoch, Phase, Placement, RegionId, SiteId, Spec, Version,
};

use crate::decide::operation::{Asked, Operation};
use crate::decide::plan::tests::goal_of;
use crate::decide::plan::{Plan, plan};
use crate::decide::{Fact, State, first_start};
use crate::store::{Freeze, Kept, Reading};

pub(crate) struct World {
    pub(crate) spec: Spec,
    reading: Reading,
    revision: u64,
    silent: BTreeSet<SiteId>,
    lagging: BTreeSet<SiteId>,
}

impl World {
    /// Cells named by their homes: `east north` are c1 and c2, each with standbys in the two others.
    /// Each weighs one, and each region can carry `capacity`.
    pub(crate) fn new(homes: &str, capacity: u32) -> Self {
        let regions = ["east", "north", "south"];
        let mut text = "version: 1\nregions:\n".to_owned();
        for (number, region) in regions.iter().enumerate() {
            writeln!(
                text,
                "  - {{id: {region}, name: {region}, network: 127.{number}.0.0/16, capacity: {capacity}}}"
            )
            .unwrap();
        }
        text += "cells:\n";
        for (number, home) in homes.split_whitespace().enumerate() {
            let others: Vec<&str> = regions.into_iter().filter(|region| *region != home).collect();
            writeln!(
                text,
                "  - {{id: c{}, weight: 1, home: {home}, standbys: [{}]}}",
                number + 1,
                others.join(", ")
            )
            .unwrap();
        }
        text += "edge: {listen: \"127.0.0.2:8080\", admin: \"127.0.0.2:9080\", routers: 1}\n\
                 lease: {renew: 500ms, right: 1600ms, patience: 2s}\nmessages: weak\n";
        let spec = Spec::parse(&text).unwrap();
        let placement = Some(Placement::plan(&spec.weights(), Version(1)));
        let reading = Reading { placement, ..Reading::default() };
        let (silent, lagging) = (BTreeSet::new(), BTreeSet::new());
        let mut world = Self { spec, reading, revision: 1, silent, lagging };
        for cell in world.spec.cells.clone() {
            let mut routed = first_start::cell(&world.spec, &cell);
            routed.activation.system = Some(1);
            routed.activation.phase = Phase::Steady { active: cell.home.clone() };
            world.reading.cells.insert(cell.id, Kept::at(1, routed));
        }
        world
    }

    /// `east is drained`, `east is a target`, `east is down`, `c1 is in north`, `c1 is electing`,
    /// `c1 was failed over to south` by a person,
    /// `c1@south lags`, `c1@south follows`, `c1@south is kept out`, `c1@south has left`, `c1@south is let
    /// in`, `c1@south votes`, `frozen`, `thawed`; several with commas.
    pub(crate) fn say(&mut self, text: &str) {
        self.revision += 1;
        for sentence in text.split(", ").filter(|sentence| !sentence.is_empty()) {
            let words: Vec<&str> = sentence.split(' ').collect();
            match words[..] {
                [region, "is", "drained"] => {
                    self.reading.drained.insert(region.parse().unwrap());
                }
                [region, "is", "a", "target"] => {
                    self.reading.drained.remove(&region.parse::<RegionId>().unwrap());
                }
                [region, "is", "down"] => {
                    let region: RegionId = region.parse().unwrap();
                    let cells = self.spec.cells.iter();
                    let sites =
                        cells.map(|cell| SiteId { cell: cell.id.clone(), region: region.clone() });
                    self.silent.extend(sites);
                }
                [cell, "is", "in", region] => {
                    let active = region.parse().unwrap();
                    self.change(cell, Phase::Steady { active });
                }
                [cell, "was", "failed", "over", "to", region] => {
                    let active = region.parse().unwrap();
                    self.change(cell, Phase::Steady { active });
                    let kept = self.reading.cells.get_mut(&cell.parse::<CellId>().unwrap());
                    let cause = Cause::operation("op-000099", "failover");
                    kept.unwrap().value.activation.cause = Some(cause);
                }
                [cell, "is", "electing"] => {
                    self.change(cell, Phase::Electing { predecessor: None });
                }
                [site, "lags"] => {
                    self.lagging.insert(site.parse().unwrap());
                }
                [site, "follows"] => {
                    self.lagging.remove(&site.parse().unwrap());
                }
                [site, "is", "kept", "out"] => {
                    self.change_sites(site, |activation, region| {
                        activation.retired.insert(region);
                    });
                }
                [site, "is", "let", "in"] => {
                    self.change_sites(site, |activation, region| {
                        activation.retired.remove(&region);
                    });
                }
                [site, "has", "left"] => {
                    self.change_sites(site, |activation, region| {
                        activation.voters.remove(&region);
                    });
                }
                [site, "votes"] => {
                    self.change_sites(site, |activation, region| {
                        activation.voters.insert(region);
                    });
                }
                ["frozen" | "thawed"] => {
                    let freeze = Freeze {
                        frozen: words == ["frozen"],
                        reason: "nobody moves".to_owned(),
                        who: "token 1".to_owned(),
                        since_unix_ms: 0,
                        until_unix_ms: None,
                    };
                    self.reading.freeze = Some(Kept::at(self.revision, freeze));
                }
                _ => panic!("{sentence:?} is not understood"),
            }
        }
    }

    /// Returns an operation as it begins now: `evacuate east`.
    pub(crate) fn operation(&self, goal: &str, now: Instant) -> Operation {
        let Plan { goal, waves, .. } = plan(&goal_of(goal), &self.state(now), &self.spec, now);
        let asked = Asked {
            who: "token 1".to_owned(),
            vantage: "north".parse().unwrap(),
            at_unix_ms: 1,
            reason: None,
            override_rules: Vec::new(),
            idempotency_key: None,
        };
        Operation::new(goal, asked, 0, waves)
    }

    /// Lets an operation go on besides.
    pub(crate) fn goes_on(&mut self, operation: Operation) {
        let id = format!("op-{:06}", self.reading.operations.len() + 1);
        self.reading.operations.insert(id, Kept::at(self.revision, operation));
    }

    /// Changes a cell under its next epoch, as a move does, or an election.
    fn change(&mut self, cell: &str, phase: Phase) {
        let kept = self.reading.cells.get_mut(&cell.parse::<CellId>().unwrap()).unwrap();
        let activation = &mut kept.value.activation;
        let regions = kept.value.gateways.keys();
        activation.epoch = Epoch(activation.epoch.0 + 2);
        if let Phase::Steady { active } = &phase {
            activation.voters = regions.filter(|region| *region != active).cloned().collect();
        }
        activation.phase = phase;
        activation.cause = None;
        (kept.revision, kept.version) = (self.revision, Version(self.revision));
    }

    /// Changes who stands by, under the same epoch.
    fn change_sites(&mut self, site: &str, change: impl FnOnce(&mut Activation, RegionId)) {
        let SiteId { cell, region } = site.parse().unwrap();
        let kept = self.reading.cells.get_mut(&cell).unwrap();
        change(&mut kept.value.activation, region);
        (kept.revision, kept.version) = (self.revision, Version(self.revision));
    }

    /// Returns which sites vote, and which are kept out: `north, out: south`.
    pub(crate) fn voters(&self, cell: &str) -> String {
        let activation = &self.reading.cells[&cell.parse::<CellId>().unwrap()].value.activation;
        let names = |regions: &BTreeSet<RegionId>| {
            regions.iter().map(RegionId::as_str).collect::<Vec<_>>().join(" ")
        };
        format!("{}, out: {}", names(&activation.voters), names(&activation.retired))
    }

    /// Returns what an observer knows of it.
    pub(crate) fn state(&self, now: Instant) -> State {
        let mut state = State::default();
        state.saw(Fact::Read(self.reading.clone()), now);
        for cell in &self.spec.cells {
            for region in cell.regions() {
                let site = SiteId { cell: cell.id.clone(), region: region.clone() };
                let answer = Some(self.report(&site));
                state.saw(Fact::Probed { site: site.clone(), answer }, now);
                if self.silent.contains(&site) {
                    state.saw(Fact::Probed { site: site.clone(), answer: None }, now);
                    state.saw(Fact::Probed { site, answer: None }, now);
                }
            }
        }
        state
    }

    /// Returns where each cell is active: `c1 east, c2 north`.
    pub(crate) fn active(&self) -> String {
        let cells = self.reading.cells.iter().map(|(cell, kept)| {
            let holder = kept.value.activation.holder();
            format!("{cell} {}", holder.map_or("nowhere", RegionId::as_str))
        });
        cells.collect::<Vec<_>>().join(", ")
    }

    /// Returns the drained regions.
    pub(crate) fn drained(&self) -> String {
        let drained = self.reading.drained.iter().map(RegionId::as_str);
        drained.collect::<Vec<_>>().join(", ")
    }

    fn report(&self, site: &SiteId) -> SiteReport {
        let activation = &self.reading.cells[&site.cell].value.activation;
        let active = activation.holder() == Some(&site.region);
        let others = activation.voters.iter().filter(|_| active);
        let lag_bytes: BTreeMap<String, u64> = others
            .map(|region| {
                let other = SiteId { cell: site.cell.clone(), region: region.clone() };
                let lag = if self.lagging.contains(&other) { u64::MAX } else { 0 };
                (region.to_string(), lag)
            })
            .collect();
        SiteReport {
            sequence: 1,
            tenure: if active { TenureName::Serving } else { TenureName::Standby },
            epoch: activation.epoch.0,
            postgres: if active { "primary" } else { "standby" }.to_owned(),
            lsn: 1,
            timeline: 1,
            lag_bytes,
            flush: None,
            room: None,
            services: BTreeMap::new(),
            at_risk: false,
            rebuilt: 0,
            alerts: BTreeMap::new(),
        }
    }
}
