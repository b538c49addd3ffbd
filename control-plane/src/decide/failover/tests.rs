//! Situations: what happens when, and what is decided when. All times in seconds.

use std::collections::{BTreeMap, BTreeSet};

use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;
use topology::{Epoch, Placement, SiteId, Spec, Version};

use super::*;
use crate::decide::Fact;
use crate::decide::first_start;
use crate::store::{Kept, Lease, Reading};

#[test]
fn healthy_cells_stay_where_they_are() {
    check("north", "", 60.0, "");
}

#[test]
fn a_dead_site_is_taken_over_once_patience_is_over() {
    // The last renewal was seen at 10.0; patience is 2 s.
    check(
        "north",
        "10.1 c1@east dies",
        20.0,
        "12.0 take c1 over from east, epoch 7: east lost: lease silent for 2.0 s, agent unreachable \
         for 1.8 s, seen from north",
    );
}

#[test]
fn each_region_waits_for_the_one_before_it_and_the_suspect_one_comes_last() {
    decided_at("north", "10.1 c1@east dies", "12.0 take-over c1");
    decided_at("south", "10.1 c1@east dies", "12.15 take-over c1");
    decided_at("east", "10.1 c1@east dies", "12.3 take-over c1");
    decided_at("east", "10.1 c2@north dies", "12.0 take-over c2");
}

#[test]
fn a_region_that_dies_takes_only_its_own_active_sites_along() {
    decided_at(
        "north",
        "10.1 c1@east dies; 10.1 c2@east dies; 10.1 c3@east dies",
        "12.0 take-over c1",
    );
}

#[test]
fn a_silent_lease_of_a_site_that_answers_is_borne_longer() {
    decided_at("north", "10.1 c1@east stops renewing", "16.0 take-over c1");
}

#[test]
fn a_site_that_renews_is_not_taken_over_however_unreachable_it_is_from_here() {
    decided_at("north", "10.1 c1@east is cut off", "");
}

#[test]
fn a_pause_shorter_than_patience_moves_nothing() {
    decided_at("north", "10.1 c1@east dies; 11.7 c1@east lives", "");
}

#[test]
fn a_single_lost_probe_does_not_make_a_site_unreachable() {
    decided_at(
        "north",
        "10.1 c1@east stops renewing; 11.9 c1@east is cut off; 12.2 c1@east is joined",
        "16.0 take-over c1",
    );
}

#[test]
fn nothing_is_decided_while_etcd_cannot_be_read() {
    decided_at("north", "10.1 etcd is gone; 10.1 c1@east dies", "");
}

#[test]
fn a_site_that_died_during_an_election_in_etcd_is_taken_over_when_it_is_over() {
    decided_at(
        "north",
        "10.1 etcd is gone; 10.1 c1@east dies; 13.1 etcd is back",
        "13.1 take-over c1",
    );
}

#[test]
fn an_outage_of_etcd_moves_no_cell_that_answers() {
    // What could not be renewed is borne for patience + 4 s from the first good read on.
    decided_at("north", "10.1 etcd is gone; 40.1 etcd is back", "");
    decided_at(
        "north",
        "10.1 etcd is gone; 20.1 c1@east stops renewing; 40.1 etcd is back",
        "46.1 take-over c1",
    );
}

#[test]
fn sites_of_two_regions_lost_at_once_are_an_observers_fault() {
    check(
        "south",
        "10.1 c1@east dies; 11.1 c2@north dies",
        20.0,
        "12.15 freeze c1, epoch 7: east and north look lost
         13.15 freeze c2, epoch 7: east and north look lost",
    );
}

#[test]
fn a_lost_site_is_taken_over_though_another_region_only_has_a_silent_lease() {
    decided_at(
        "south",
        "10.1 c1@east dies; 10.1 c2@north stops renewing",
        "12.15 take-over c1; 16.15 take-over c2",
    );
}

#[test]
fn sites_lost_long_after_one_another_are_two_failures() {
    // c1 was not moved: too few of its voters were willing.
    decided_at(
        "south",
        "10.1 c1@east dies; 25.1 c2@north dies",
        "12.15 take-over c1; 27.15 take-over c2",
    );
}

#[test]
fn the_order_in_which_two_regions_are_lost_is_no_matter() {
    // Probes come four times a second, so c1's first miss is within 10 s of c2's, or not.
    let nine = "10.1 c1@east dies; 19.1 c2@north dies";
    decided_at("south", nine, "12.15 take-over c1; 20.2 freeze c1; 21.15 freeze c2");
    let eleven = "10.1 c1@east dies; 21.1 c2@north dies";
    decided_at("south", eleven, "12.15 take-over c1; 23.15 take-over c2");
}

#[test]
fn the_freeze_ends_when_one_of_the_sites_answers_again() {
    decided_at(
        "south",
        "10.1 c1@east dies; 10.1 c2@north is cut off; 15.0 c2@north is joined",
        "12.15 freeze c1; 15.0 take-over c1",
    );
}

#[test]
fn a_promoted_site_that_answers_gets_time_to_replay_and_open() {
    decided_at(
        "north",
        "10.0 c1@east stops renewing; 10.1 c1 9 promoting south",
        // South has not renewed under epoch 9, and answers.
        "20.25 take-over c1",
    );
}

#[test]
fn a_promoted_site_that_dies_before_its_first_renewal_is_taken_over() {
    decided_at(
        "north",
        "10.0 c1@east stops renewing; 10.1 c1 9 promoting south; 10.1 c1@south dies",
        "12.25 take-over c1",
    );
}

#[test]
fn the_first_database_is_never_taken_over() {
    decided_at("north", "5.0 c1 8 first east; 10.1 c1@east dies", "");
}

#[test]
fn a_planned_move_that_nobody_drives_is_ended() {
    // The active site still renews: its right goes on until the take-over ends it.
    decided_at("north", "10.1 c1 8 switching east south", "13.1 take-over c1");
    decided_at("south", "10.1 c1 8 switching east south", "13.25 take-over c1");
}

#[test]
fn an_election_that_nobody_drives_is_picked_up_first_by_the_first_in_rank() {
    decided_at("north", "10.1 c1 8 electing east", "10.6 pick-up c1");
    decided_at("south", "10.1 c1 8 electing east", "12.25 pick-up c1");
    decided_at("east", "10.1 c1 8 electing east", "12.4 pick-up c1");
}

#[test]
fn an_election_that_goes_on_is_left_to_who_drives_it() {
    decided_at(
        "south",
        "10.1 c1 8 electing east; 11.1 c1 9 electing east; 12.1 c1 10 electing east;
         13.1 c1 11 promoting north; 13.2 c1@north holds the lease",
        "",
    );
}

#[test]
fn at_the_start_of_everything_agents_may_come_later() {
    decided_at("north", "0.0 c1@east was never up; 6.0 c1@east lives", "");
    decided_at("north", "0.0 c1@east was never up", "10.0 take-over c1");
}

#[test]
fn a_record_that_etcd_went_back_to_is_left_to_the_active_site_while_one_serves() {
    decided_at("north", "10.0 c1@east serves; 10.1 c1 3 back", "");
}

#[test]
fn a_record_that_etcd_went_back_to_is_written_anew_when_nobody_serves() {
    check(
        "south",
        "10.0 c1@east dies; 10.1 c1 3 back",
        40.0,
        "20.25 restore c1, epoch 7: etcd went back from epoch 7 to 3 and nobody has served for \
         10.2 s, seen from south",
    );
    decided_at("north", "10.0 c1@east dies; 10.1 c1 gone", "20.1 restore c1");
    // It came up with the old record, and serves by that.
    let script = "10.0 c1@east dies; 10.0 c1@north serves; 10.0 c1@north knows epoch 3; \
                  10.1 c1 3 back";
    decided_at("north", script, "20.1 restore c1");
}

#[test]
fn nothing_is_decided_by_a_record_that_a_site_knows_to_be_over() {
    // This observer started after etcd had gone back: it does not know who voted under epoch 9.
    check(
        "north",
        "10.0 c1@north knows epoch 9; 10.1 c1@east dies",
        60.0,
        "20.0 freeze c1, epoch 7: a site knows a later epoch than etcd, which has gone back in time",
    );
}

#[test]
fn what_is_missing_is_created() {
    decided_at(
        "south",
        "0.0 nothing is stored",
        "0.0 create-placement; 0.0 create-cell c1; \
        0.0 create-cell c2; 0.0 create-cell c3",
    );
}

/// How far the world moves between two looks at it.
const STEP: f64 = 0.05;

/// Lets `script` happen to three healthy cells, and compares what the observer decides with what is
/// `expected`, each decision at its first time.
#[track_caller]
fn check(vantage: &str, script: &str, until: f64, expected: &str) {
    let decided: Vec<String> = decisions(vantage, script, until)
        .iter()
        .map(|(at, action)| format!("{} {action}", time(*at)))
        .collect();
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(decided, expected);
}

/// The same, with only the kind of each decision.
#[track_caller]
fn decided_at(vantage: &str, script: &str, expected: &str) {
    let decided: Vec<String> = decisions(vantage, script, 60.0)
        .iter()
        .map(|(at, action)| {
            let cell = match action {
                Action::CreatePlacement => String::new(),
                Action::CreateCell { cell }
                | Action::TakeOver { cell, .. }
                | Action::PickUp { cell, .. }
                | Action::Restore { cell, .. }
                | Action::Freeze { cell, .. } => format!(" {cell}"),
            };
            format!("{} {}{cell}", time(*at), action.kind())
        })
        .collect();
    assert_eq!(decided.join("; "), expected);
}

fn time(at: f64) -> String {
    let text = format!("{at:.2}");
    text.strip_suffix('0').map_or(text.clone(), ToOwned::to_owned)
}

/// Runs the world, and returns each kind of decision about each cell once, with when it was made.
fn decisions(vantage: &str, script: &str, until: f64) -> Vec<(f64, Action)> {
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
    let mut seen = BTreeSet::new();
    let mut decided = Vec::new();
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
        for action in crate::decide::decide(&state, &policy, now) {
            let cell = format!("{action}").split(',').next().unwrap_or_default().to_owned();
            if seen.insert(cell) {
                decided.push((at, action));
            }
        }
    }
    decided
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
}

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
        let epochs = BTreeMap::new();
        Self { reading, revision: 1, etcd: true, silent, cut_off, serving, epochs }
    }

    fn happen(&mut self, what: &[&str]) {
        match what {
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
            ["electing", predecessor] => {
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
                let lease = Lease { holder: holder.clone(), epoch: activation.epoch };
                let kept = Kept::at(self.revision, lease);
                self.reading.leases.insert(cell.clone(), kept);
            }
        }
    }

    fn read(&self) -> Fact {
        if self.etcd { Fact::Read(self.reading.clone()) } else { Fact::ReadFailed }
    }

    fn probes(&self, spec: &Spec) -> Vec<Fact> {
        let sites = spec.cells.iter().flat_map(|cell| {
            cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
        });
        sites
            .map(|site| {
                let answer = (!self.cut_off.contains(&site)).then(|| {
                    let mut report = report();
                    if self.serving.contains(&site) {
                        report.tenure = TenureName::Serving;
                    }
                    report.epoch = self.epochs.get(&site).copied().unwrap_or(report.epoch);
                    report
                });
                Fact::Probed { site, answer }
            })
            .collect()
    }
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
        services: BTreeMap::new(),
        at_risk: false,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}

fn spec() -> Spec {
    Spec::parse(include_str!("../../../../regions.yaml")).unwrap()
}
