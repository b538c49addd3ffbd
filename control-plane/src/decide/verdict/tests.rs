//! Situations: what is seen from where, and what is done about it when. Cells have been serving for a
//! while, users ask ten times a second, and every vantage tells what it sees. All times in seconds.

use crate::decide::Action;
use crate::decide::world::{decisions, time};

/// Eight seconds after the second kind of evidence, which is the fourth slow probe.
#[test]
fn a_site_that_is_slow_for_vantages_and_users_is_relieved() {
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 users of c1 wait",
        "91.0 relieve c1 from east to north",
    );
}

#[test]
fn a_site_whose_agent_lives_and_whose_database_does_not_is_relieved() {
    check(
        "south",
        "80.0 c1@east answers nothing; 80.0 c1@east has no database",
        "93.0 relieve c1 from east to north",
    );
}

/// Its commits are slow, and its agent says why; what its users ask for may be reads.
#[test]
fn a_site_whose_disk_is_slow_is_relieved() {
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 c1@east has a slow disk",
        "91.0 relieve c1 from east to north",
    );
    // All on one machine, or everybody's storage.
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 c1@east has a slow disk; 82.0 c3@south answers slowly; \
         82.0 c3@south has a slow disk",
        "",
    );
}

#[test]
fn a_site_whose_disk_is_full_is_relieved_by_one_that_has_room() {
    check("north", "80.0 c1@east has no room", "81.0 relieve c1 from east to north");
    check(
        "north",
        "80.0 c1@north has no room; 80.0 c1@east has no room",
        "81.0 relieve c1 from east to south",
    );
    // What fills the disks of all comes with the cell, and little room is soon none.
    check(
        "north",
        "80.0 c1@north has no room; 80.0 c1@south has 63 MB; 80.0 c1@east has no room",
        "",
    );
}

#[test]
fn one_kind_of_evidence_is_no_reason() {
    check("north", "80.0 c1@east answers slowly", "");
    check("north", "80.0 c1@east answers nothing", "");
    check("north", "80.0 users of c1 fail", "");
    check("north", "80.0 c1@east has no database", "");
    check("north", "80.0 c1@east has a slow disk", "");
}

/// Nearly all users are connected, and get what they ask for: those who come anew do not.
#[test]
fn a_site_that_nobody_can_connect_to_any_more_is_relieved() {
    check(
        "north",
        "80.0 users of c1 miss; 81.0 c1@east answers nothing",
        "92.0 relieve c1 from east to north",
    );
    // Once so many find nobody that all are badly off, the same trouble goes on.
    check(
        "north",
        "80.0 users of c1 miss; 81.0 c1@east answers nothing; 88.0 users of c1 strand",
        "92.0 relieve c1 from east to north",
    );
    check("north", "80.0 users of c1 miss", "");
}

#[test]
fn users_and_the_site_itself_are_no_reason_while_the_vantages_see_it_well() {
    check("north", "80.0 users of c1 fail; 80.0 c1@east has no database", "");
}

#[test]
fn a_site_that_recovers_in_time_is_left_to_itself() {
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 users of c1 wait; 90.0 c1@east answers well",
        "",
    );
}

#[test]
fn one_vantage_alone_moves_nothing() {
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 users of c1 wait; 80.0 south sees c1@east healthy",
        "",
    );
}

#[test]
fn a_silent_vantage_does_not_count() {
    check(
        "north",
        "70.0 south falls mute; 80.0 south sees c1@east healthy; 80.0 c1@east answers slowly; \
         80.0 users of c1 wait",
        "91.0 relieve c1 from east to north",
    );
}

#[test]
fn a_crowd_that_makes_a_cell_slow_would_make_it_slow_anywhere() {
    check("north", "80.0 c1@east answers slowly; 80.0 users of c1 crowd", "");
}

#[test]
fn the_healthier_standby_is_chosen() {
    check(
        "north",
        "40.0 c1@north answers nothing; 80.0 c1@east answers slowly; 80.0 users of c1 wait",
        "91.0 relieve c1 from east to south",
    );
}

#[test]
fn without_a_better_site_the_cell_stays() {
    check(
        "north",
        "40.0 c1@north answers nothing; 40.0 c1@south answers nothing; \
         80.0 c1@east answers slowly; 80.0 users of c1 wait",
        "",
    );
}

#[test]
fn a_site_that_comes_and_goes_is_no_better_one() {
    check(
        "north",
        "60.0 c1@north is cut off; 61.0 c1@north is joined; 64.0 c1@north is cut off; \
         65.0 c1@north is joined; 68.0 c1@north is cut off; 69.0 c1@north is joined; \
         80.0 c1@east answers slowly; 80.0 users of c1 wait",
        "91.0 relieve c1 from east to south",
    );
}

#[test]
fn sites_of_two_regions_that_turn_bad_at_once_are_an_observers_fault() {
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 users of c1 wait; 82.0 c3@south answers slowly",
        "",
    );
    // Of one region they are that region's.
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 users of c1 wait; 82.0 c2@east answers slowly; \
         82.0 c3@east answers slowly",
        "91.0 relieve c1 from east to north",
    );
}

#[test]
fn a_cell_that_has_just_been_moved_stays() {
    check(
        "north",
        "10.0 c1 8 promoting north; 10.0 c1@north holds the lease; 10.1 c1@north knows epoch 8; \
         11.0 c1 8 steady north; 80.0 c1@north answers slowly; 80.0 users of c1 wait",
        "",
    );
}

#[test]
fn voters_that_leave_and_join_do_not_keep_a_cell_where_it_is() {
    check(
        "north",
        "70.0 c1 7 steady east; 80.0 c1@east answers slowly; 80.0 users of c1 wait",
        "91.0 relieve c1 from east to north",
    );
}

#[test]
fn a_site_that_came_back_in_place_gets_a_minute() {
    check(
        "north",
        "60.0 c1 8 steady east; 60.0 c1@east knows epoch 8; 80.0 c1@east answers slowly; \
         80.0 users of c1 wait",
        "120.0 relieve c1 from east to north",
    );
}

/// Its lease is silent and it does not answer north: only together with south's word it is lost early.
#[test]
fn an_observer_that_is_cut_off_alone_moves_nothing_early() {
    let script = "80.1 c1@east stops renewing; 80.1 c1@east is cut off";
    check("north", script, "86.0 take-over c1");
    let agreed = format!("{script}; 80.6 south sees c1@east unreachable");
    check("north", &agreed, "82.0 take-over c1");
}

#[test]
fn an_observer_that_is_cut_off_from_several_regions_is_blind() {
    // Everything is well, but for the observer: south and east see c1 and c3 well.
    check(
        "north",
        "80.1 c1@east is cut off; 80.1 c3@south is cut off; 80.1 c2@north answers slowly; \
         80.1 users of c2 wait",
        "",
    );
}

/// Lets `script` happen to three cells that have been well, and compares what the observer decides.
#[track_caller]
fn check(vantage: &str, script: &str, expected: &str) {
    let script = format!("0.0 all is lively; 0.0 all vantages tell; {script}");
    let decided: Vec<String> = decisions(vantage, &script, 130.0)
        .iter()
        .map(|(at, action)| {
            let at = time(*at);
            match action {
                Action::Relieve { cell, from, to, .. } => {
                    format!("{at} relieve {cell} from {from} to {to}")
                }
                Action::CreatePlacement => format!("{at} {action}"),
                Action::CreateCell { cell }
                | Action::TakeOver { cell, .. }
                | Action::PickUp { cell, .. }
                | Action::Restore { cell, .. }
                | Action::Freeze { cell, .. } => format!("{at} {} {cell}", action.kind()),
            }
        })
        .collect();
    assert_eq!(decided.join("; "), expected);
}
