//! Situations: what happens when, and what is decided when. All times in seconds.

use std::time::Duration;

use super::right_over_at;
use crate::decide::Action;
use crate::decide::verdict::World;
use crate::decide::world::{decisions, run, time};

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
    decided_at("south", nine, "12.15 take-over c1; 19.5 freeze c1; 21.15 freeze c2");
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
fn a_site_that_gives_up_drives_no_election_and_is_not_waited_for() {
    decided_at("north", "10.1 c1 8 given-up-by east", "10.1 pick-up c1");
    decided_at("south", "10.1 c1 8 given-up-by east", "12.25 pick-up c1");
    // Somebody has begun another: the cause is still that of the first.
    decided_at("north", "10.1 c1 8 electing east; 10.2 c1 9 given-up-by east", "10.7 pick-up c1");
}

#[test]
fn nobody_waits_for_the_right_of_a_site_that_has_given_it_up() {
    let waits = |script| {
        let mut waits = Duration::MAX;
        run("north", script, 10.2, |_, World { state, policy, now }| {
            let seen = &state.cells()[&"c1".parse().unwrap()];
            waits = right_over_at(seen, policy, now).saturating_duration_since(now);
        });
        waits
    };
    assert_eq!(waits("10.1 c1 8 given-up-by east"), Duration::ZERO);
    assert!(waits("10.1 c1 8 electing east") > Duration::ZERO);
    // Who was active in the record that etcd went back to may have a right by it.
    assert!(waits("10.0 c1 8 given-up-by east; 10.1 c1 3 back") > Duration::ZERO);
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
                | Action::Relieve { cell, .. }
                | Action::Freeze { cell, .. } => format!(" {cell}"),
            };
            format!("{} {}{cell}", time(*at), action.kind())
        })
        .collect();
    assert_eq!(decided.join("; "), expected);
}
