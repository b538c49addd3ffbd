//! Situations in which nothing may be decided, and what is remembered of each.

use std::collections::BTreeMap;

use topology::CellId;

use super::*;
use crate::decide::verdict::judge;
use crate::decide::world::{run, time};

#[test]
fn an_observer_that_is_cut_off_remembers_that_it_decided_nothing() {
    let cut_off = "80.0 etcd is gone; 80.0 c1@east is cut off; 80.0 c3@south is cut off; \
                   80.0 south falls mute; 80.0 east falls mute";
    // At first the others' last words speak against what it sees; then there is nothing to go by.
    let noticed = "80.25 undecided c1; 80.25 undecided c3; 81.45 undecided c1; 81.45 undecided c3";
    check("north", cut_off, noticed);
    let joined =
        format!("{cut_off}; 90.0 etcd is back; 90.0 c1@east is joined; 90.0 c3@south is joined");
    check("north", &joined, &format!("{noticed}; 90.0 over c1; 90.0 over c3"));
}

#[test]
fn an_observer_that_alone_sees_several_regions_badly_remembers_it() {
    check(
        "north",
        "80.0 c1@east is cut off; 80.0 c3@south is cut off; 90.0 c1@east is joined; \
         90.0 c3@south is joined",
        "80.25 undecided c1; 80.25 undecided c3; 90.0 over c1; 90.0 over c3",
    );
}

#[test]
fn a_slow_site_is_gray_until_the_cell_has_moved() {
    check(
        "north",
        "80.0 c1@east answers slowly; 80.0 users of c1 wait; 95.0 c1 8 promoting north; \
         95.1 c1@north holds the lease; 95.1 c1@north knows epoch 8; 95.5 c1 8 steady north",
        "91.0 gray c1; 95.0 over c1",
    );
}

#[test]
fn a_slow_site_that_is_left_says_why_and_when_the_reason_changes() {
    check(
        "north",
        "30.0 c1 8 steady east; 30.0 c1@east knows epoch 8; 40.0 c1@north answers nothing; \
         40.0 c1@south answers nothing; 60.0 c1@east answers slowly; 60.0 users of c1 wait; \
         100.0 c1@east answers well",
        "71.0 left c1; 90.0 left c1; 100.05 over c1",
    );
}

#[test]
fn a_site_that_comes_and_goes_is_remembered_once_and_when_it_stays() {
    check(
        "north",
        "60.0 c1@north is cut off; 61.0 c1@north is joined; 64.0 c1@north is cut off; \
         65.0 c1@north is joined; 68.0 c1@north is cut off; 69.0 c1@north is joined",
        "68.25 flapping c1; 190.3 over c1",
    );
}

#[test]
fn a_cell_that_is_well_is_not_worth_a_word() {
    check("north", "80.0 c1@east answers slowly; 83.0 c1@east answers well", "");
}

/// Lets `script` happen to three cells that have been well, and compares what the observer remembers.
#[track_caller]
fn check(vantage: &str, script: &str, expected: &str) {
    let script = format!("0.0 all is lively; 0.0 all vantages tell; {script}");
    let mut situations: BTreeMap<CellId, Situation> = BTreeMap::new();
    let mut remembered = Vec::new();
    run(vantage, &script, 200.0, |at, world| {
        let matrix = Matrix::new(world.state, world.policy, world.now);
        for (cell, seen) in world.state.cells() {
            let judgement = judge(cell, seen, &matrix, world);
            let situation = Situation::of(cell, seen, &judgement, &matrix, world);
            let before = situations.insert(cell.clone(), situation.clone()).unwrap_or_default();
            for memory in situation.since(&before) {
                remembered.push(format!("{} {} {cell}", time(at), memory.what));
            }
        }
    });
    assert_eq!(remembered.join("; "), expected);
}
