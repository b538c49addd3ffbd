//! What the platform is told of a suite.

use super::*;
use crate::suite::announce::{announce, is_news};

#[test]
fn of_a_suite_that_has_nothing_due_for_a_week_the_next_one_is_told_all_the_same() {
    let suite = suite("", "\n    - {drill: cell-loss, cron: \"0 2 * * sat#1\"}");
    // After the first Saturday of December.
    let now = MONDAY + WEEK;
    let told = announce(&suite, &world(), &[], None, None, now);
    let due = suite.next(&suite.items[0], now).unwrap();
    assert!(due > now + WEEK);
    assert_eq!(told.next.first().map(|next| next.due_unix_ms), Some(due));
    assert_eq!(told.first_due_unix_ms, Some(due));
}

#[test]
fn the_platform_is_told_what_goes_on_what_comes_next_and_what_became_of_the_last_ones() {
    let suite = suite("", TWO);
    let running = entry("cell-loss", MONDAY + 150 * MINUTE, "c2", Outcome::Interrupted);
    let past = [
        entry("region-loss", MONDAY - WEEK, "east", Outcome::Failed),
        entry("region-loss", MONDAY + 120 * MINUTE, "north", Outcome::Succeeded),
        running.clone(),
    ];
    let tell = |running, now| announce(&suite, &world(), &past, running, Some("the lever"), now);
    let told = tell(Some(&running), MONDAY + 151 * MINUTE);
    assert_eq!(told.running.as_ref().map(|due| due.drill.as_str()), Some("cell-loss"));
    let last: Vec<_> = told.last.iter().map(|it| (it.due.target.as_deref(), it.outcome)).collect();
    let expected = [(Some("north"), Outcome::Succeeded), (Some("east"), Outcome::Failed)];
    assert_eq!(last, expected);
    // A week from now there is one of each, and region-loss has south left.
    let next: Vec<_> = told.next.iter().map(|it| (it.drill.as_str(), it.due_unix_ms)).collect();
    let monday = MONDAY + WEEK;
    let expected = [("region-loss", monday + 120 * MINUTE), ("cell-loss", monday + 150 * MINUTE)];
    assert_eq!(next, expected);
    assert_eq!(told.next[0].target.as_deref(), Some("south"));
    assert!(!is_news(&tell(Some(&running), MONDAY + 152 * MINUTE), Some(&told)));
    assert!(is_news(&tell(None, MONDAY + 152 * MINUTE), Some(&told)) && is_news(&told, None));
}

#[test]
fn the_platform_is_told_since_when_a_drill_should_have_succeeded_however_many_were_skipped() {
    let suite = suite("", TWO);
    let skips = |weeks: std::ops::Range<u64>| {
        weeks.map(|week| entry("cell-loss", MONDAY + week * WEEK, "c1", Outcome::Skipped))
    };
    let first_due = |past: &[Entry], weeks: u64| {
        announce(&suite, &world(), past, None, None, MONDAY + weeks * WEEK).first_due_unix_ms
    };
    let next = |weeks: u64| Some(MONDAY + weeks * WEEK + 120 * MINUTE);
    assert_eq!(first_due(&[], 0), next(0));
    let mut past: Vec<Entry> = skips(0..30).collect();
    assert_eq!(first_due(&past, 30), Some(MONDAY));
    past.push(entry("region-loss", MONDAY + 30 * WEEK, "east", Outcome::Succeeded));
    assert_eq!(first_due(&past, 31), next(31));
    past.extend(skips(32..60));
    assert_eq!(first_due(&past, 60), Some(MONDAY + 32 * WEEK));
}

#[test]
fn each_drill_that_can_be_run_here_is_expected_to_pass_within_a_time_of_its_own() {
    let drills = r#"
    - {drill: region-loss, cron: "0 2 * * mon"}
    - {drill: cell-loss, cron: "0 3 * * *"}
    - {drill: gray-site, cron: "0 2 * * sat#1"}
    - {drill: region-silence, cron: "0 2 * * fri"}"#;
    let suite = suite("", drills);
    let at = |day: u64, hour: u64| MONDAY + day * DAY + hour * 60 * MINUTE;
    let past = [
        entry("region-loss", at(0, 2), "east", Outcome::Succeeded),
        entry("cell-loss", at(0, 3), "c1", Outcome::Succeeded),
        entry("cell-loss", at(1, 3), "c2", Outcome::Failed),
        entry("cell-loss", at(2, 3), "c3", Outcome::Skipped),
    ];
    let told = announce(&suite, &world(), &past, None, None, at(2, 12)).expected;
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.drill.as_str(), it.within_ms / DAY, it.first_due_unix_ms))
        .collect();
    let expected = [
        ("region-loss", 8, at(7, 2)),
        // Every day: it may fail for a week all the same.
        ("cell-loss", 8, at(1, 3)),
        // The first Saturdays of two months are up to five weeks apart.
        ("gray-site", 36, at(5, 2)),
    ];
    assert_eq!(told, expected);
    let on_a_wan = World { offers: ON_A_WAN, ..world() };
    assert_eq!(announce(&suite, &on_a_wan, &past, None, None, at(2, 12)).expected.len(), 4);
}

#[test]
fn where_nothing_can_be_planned_the_platform_is_told_why() {
    let suite = suite("", TWO);
    let nobody = World { cells: Vec::new(), ..world() };
    let held = |held| announce(&suite, &nobody, &[], None, held, MONDAY).held;
    let why = "what comes next is not known: no region has a cell";
    assert_eq!(held(None), Some(why.to_owned()));
    assert_eq!(held(Some("the lever")), Some(format!("the lever; {why}")));
    assert_eq!(announce(&suite, &world(), &[], None, None, MONDAY).held, None);
}
