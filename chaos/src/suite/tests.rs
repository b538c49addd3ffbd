mod announced;

use topology::{Epoch, RegionId};

use super::coverage::{coverage, plan, table};
use super::due::{Decision, World, decide};
use super::past::{Entry, Outcome};
use super::*;
use crate::control_plane::Cell;
use crate::course::Tally;
use crate::drill::Offers;

const ON_A_WAN: Offers = Offers { wan: true, clocks: false, snapshots: true, backups: true };
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
const WEEK: u64 = 7 * DAY;
/// 2026-11-30 00:00, a Monday.
const MONDAY: u64 = 1_795_996_800_000;

/// Two drills on Mondays, at two and at half past.
const TWO: &str = r#"
    - {drill: region-loss, cron: "0 2 * * mon"}
    - {drill: cell-loss, cron: "30 2 * * mon"}"#;

#[test]
fn each_suite_that_comes_along_is_right_and_has_every_drill_of_its_tag() {
    for (name, text) in SUITES {
        let suite = Suite::parse(name, text).unwrap();
        for item in &suite.items {
            assert!(suite.next(item, MONDAY).is_some(), "{} is never due", item.drill.name);
        }
        let mut listed: Vec<&str> =
            suite.items.iter().map(|item| item.drill.name.as_str()).collect();
        listed.sort_unstable();
        let all = crate::drill::catalogue::DRILLS.iter();
        let mut tagged: Vec<&str> = all
            .filter(|(known, text)| Drill::parse(known, text).unwrap().has_tag(name))
            .map(|(known, _)| *known)
            .collect();
        tagged.sort_unstable();
        assert_eq!(listed, tagged);
    }
}

/// Whoever wants both puts the lines of both into one file, which may have each drill once.
#[test]
fn no_drill_is_in_two_suites_and_the_monthly_ones_come_every_month() {
    let [weekly, monthly] = SUITES.map(|(name, text)| Suite::parse(name, text).unwrap());
    for item in &monthly.items {
        let name = &item.drill.name;
        assert!(weekly.items.iter().all(|other| other.drill.name != *name), "{name} is in both");
        // As far as any month's first Saturday is from the next one's.
        let first = monthly.next(item, MONDAY + 5 * WEEK).unwrap();
        let second = monthly.next(item, first).unwrap();
        assert!((4 * WEEK..=5 * WEEK).contains(&(second - first)), "{name}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_file_is_said() {
    let text = r#"
version: 2
title: x
windows: ["* 25 * * *"]
blocked-dates: ["2026-02-30"]
blocking-alarms: [no-passing-drill]
drills:
  - {drill: region-loss, cron: "0 2 * *"}
  - {drill: no-such, cron: "0 2 * * mon"}
  - {drill: cell-loss, cron: "0 2 * * mon"}
  - {drill: cell-loss, cron: "0 3 * * mon"}
"#;
    let findings = Suite::parse("x", text).unwrap_err();
    let places: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", finding.line, finding.place)).collect();
    let expected = [
        "2 version",
        "4 windows[0]",
        "5 blocked-dates[0]",
        "6 blocking-alarms[0]",
        "8 drills[0].cron",
        "9 drills[1].drill",
        "11 drills[3].drill",
    ];
    assert_eq!(places, expected);
}

#[test]
fn each_drill_begins_when_it_is_due_one_at_a_time() {
    check(
        "",
        TWO,
        |_| Ok(world()),
        DAY,
        &["02:00 region-loss SUCCEEDED", "02:30 cell-loss SUCCEEDED"],
    );
    // Both at once: the one that is listed first, and then the other.
    let both = r#"
    - {drill: region-loss, cron: "0 2 * * mon"}
    - {drill: cell-loss, cron: "0 2 * * mon"}"#;
    check(
        "",
        both,
        |_| Ok(world()),
        DAY,
        &["02:00 region-loss SUCCEEDED", "02:05 cell-loss SUCCEEDED"],
    );
}

#[test]
fn an_alarm_holds_a_drill_and_one_that_lasts_lets_it_be_skipped() {
    let until = |end: u64| {
        move |now: u64| {
            let alarm = (now < MONDAY + end).then(|| "the alert at-risk of c1".to_owned());
            Ok(World { alarm, ..world() })
        }
    };
    check(
        "",
        TWO,
        until(140 * MINUTE),
        DAY,
        &["02:20 region-loss SUCCEEDED", "02:30 cell-loss SUCCEEDED"],
    );
    check(
        "",
        TWO,
        until(155 * MINUTE),
        DAY,
        &[
            "02:31 region-loss SKIPPED: not begun within 30 min: the alert at-risk of c1",
            "02:35 cell-loss SUCCEEDED",
        ],
    );
}

#[test]
fn nothing_begins_outside_the_windows_or_on_a_blocked_date() {
    check(
        "windows: [\"0-15 2 * * *\"]",
        TWO,
        |_| Ok(world()),
        DAY,
        &["02:00 region-loss SUCCEEDED", "02:30 cell-loss SKIPPED: no window is open"],
    );
    let skipped = ["region-loss SKIPPED: ", "cell-loss SKIPPED: "];
    let told =
        |why: &str| [format!("02:00 {}{why}", skipped[0]), format!("02:30 {}{why}", skipped[1])];
    for (rule, why) in [
        ("blocked-dates: [\"2026-11-30\"]", "2026-11-30 is a blocked date"),
        ("blocked: [\"* * 30 11 *\"]", "\"* * 30 11 *\" is blocked"),
    ] {
        let told = told(why);
        check(rule, TWO, |_| Ok(world()), DAY, &[&told[0], &told[1]]);
    }
}

#[test]
fn without_a_platform_nothing_begins_and_what_it_was_not_started_for_is_skipped() {
    check(
        "",
        "\n    - {drill: cell-loss, cron: \"30 2 * * mon\"}",
        |_| Err("no platform runs".to_owned()),
        DAY,
        &["03:01 cell-loss SKIPPED: not begun within 30 min: no platform runs"],
    );
    let wan = "\n    - {drill: region-silence, cron: \"0 2 * * mon\"}";
    check(
        "",
        wan,
        |_| Ok(world()),
        DAY,
        &["02:00 region-silence SKIPPED: this platform is on no emulated WAN; start it with \
             `platform up --wan`"],
    );
    let emulated = World { offers: ON_A_WAN, ..world() };
    check("", wan, move |_| Ok(emulated.clone()), DAY, &["02:00 region-silence SUCCEEDED"]);
    let clocks = "\n    - {drill: clock-jump, cron: \"0 2 * * mon\"}";
    check(
        "",
        clocks,
        |_| Ok(world()),
        DAY,
        &["02:00 clock-jump SKIPPED: nobody can set the clocks of this platform; start it with \
             `platform up --clocks`"],
    );
}

#[test]
fn of_what_was_missed_while_nobody_was_there_the_last_counts() {
    let suite = suite("", TWO);
    let before = [entry("region-loss", MONDAY - 4 * WEEK, "east", Outcome::Succeeded)];
    let now = MONDAY + 12 * 60 * MINUTE;
    let Decision::Skip { item, due, why } = decide(&suite, Ok(&world()), &before, now, now) else {
        panic!("it is not skipped");
    };
    assert_eq!((item.drill.name.as_str(), due), ("region-loss", MONDAY + 120 * MINUTE));
    assert_eq!(why, "not begun within 30 min: nobody was there to begin it");
    // Nothing was ever due of the other one.
    let after = [entry("region-loss", due, "east", Outcome::Skipped)];
    let decision = decide(&suite, Ok(&world()), &after, now, now);
    let expected = MONDAY + WEEK + 120 * MINUTE;
    assert!(
        matches!(decision, Decision::Wait { until, held: None } if until == expected),
        "{decision:?}"
    );
}

#[test]
fn a_drill_goes_round_and_comes_again_where_it_was_interrupted() {
    let suite = suite("", "\n    - {drill: region-loss, cron: \"0 2 * * mon\"}");
    let mut past = Vec::new();
    let mut hit = Vec::new();
    for week in 0..7 {
        let now = MONDAY + week * WEEK + 120 * MINUTE;
        let Decision::Begin { due, pick, .. } = decide(&suite, Ok(&world()), &past, MONDAY, now)
        else {
            panic!("week {week}: nothing begins");
        };
        let outcome = if week == 1 { Outcome::Interrupted } else { Outcome::Failed };
        past.push(entry("region-loss", due, &pick.target, outcome));
        assert_eq!(pick.hit.regions.len(), 1);
        hit.push(pick.target);
    }
    assert_eq!(hit[1], hit[2], "{hit:?}");
    hit.remove(1);
    assert_eq!(hit[..3], hit[3..]);
    assert_eq!(hit[..3].iter().collect::<BTreeSet<_>>().len(), 3, "{hit:?}");
}

#[test]
fn a_target_that_always_comes_to_nothing_keeps_no_other_from_its_turn() {
    let suite = suite("", "\n    - {drill: region-loss, cron: \"0 2 * * mon\"}");
    let mut past = Vec::new();
    for week in 0..8 {
        let now = MONDAY + week * WEEK + 120 * MINUTE;
        let Decision::Begin { due, pick, .. } = decide(&suite, Ok(&world()), &past, MONDAY, now)
        else {
            panic!("week {week}: nothing begins");
        };
        let first = past.first().map(|entry: &Entry| entry.target.clone());
        let is_first = first.is_none_or(|first| first.as_ref() == Some(&pick.target));
        let outcome = if is_first { Outcome::Skipped } else { Outcome::Succeeded };
        past.push(entry("region-loss", due, &pick.target, outcome));
    }
    let hit: BTreeSet<_> = past.iter().map(|entry| entry.target.clone()).collect();
    assert_eq!(hit.len(), 3, "{hit:?}");
}

#[test]
fn another_seed_begins_elsewhere() {
    let first = |seed: u64| {
        let suite = Suite { seed, ..suite("", TWO) };
        plan(&suite, &world(), &[], MONDAY, MONDAY + DAY).unwrap()[0].target.clone()
    };
    let firsts: BTreeSet<String> = (0..16).map(first).collect();
    assert_eq!(firsts.len(), 3, "{firsts:?}");
}

#[test]
fn the_plan_covers_every_drill_with_every_target_within_three_weeks() {
    let (name, text) = SUITES[0];
    let weekly = Suite::parse(name, text).unwrap();
    let world = World { offers: Offers { clocks: true, ..ON_A_WAN }, ..world() };
    let planned = plan(&weekly, &world, &[], MONDAY, MONDAY + 3 * WEEK).unwrap();
    assert_eq!(planned.len(), 3 * weekly.items.len());
    let squares = coverage(&weekly, &world, &[], &planned);
    let open: Vec<_> = squares.iter().filter(|square| square.next_unix_ms.is_none()).collect();
    assert_eq!(open, Vec::<&super::coverage::Square>::new());
}

#[test]
fn the_matrix_shows_what_was_and_else_what_will_be() {
    let suite = suite("", TWO);
    let past = [
        entry("region-loss", MONDAY - WEEK, "east", Outcome::Succeeded),
        entry("region-loss", MONDAY - 2 * WEEK, "north", Outcome::Failed),
        entry("cell-loss", MONDAY - WEEK, "c2", Outcome::Interrupted),
    ];
    let planned = plan(&suite, &world(), &past, MONDAY, MONDAY + WEEK).unwrap();
    assert_eq!(planned[0].target, "south");
    let target = planned[1].target.clone();
    let matrix = table(&coverage(&suite, &world(), &past, &planned));
    let will = |cell| if cell == target { "(11-30)" } else { "never" };
    let [c1, c2, c3] = ["c1", "c2", "c3"].map(will);
    let expected = [
        format!("{:26}{:13}{:13}{:13}{:13}{:13}south", "", "c1", "c2", "c3", "east", "north"),
        format!("{:26}{:39}{:13}{:13}(11-30)", "region-loss", "", "11-23 ok", "11-16 FAILED"),
        format!("{:26}{c1:13}{c2:13}{c3}", "cell-loss"),
    ];
    assert_eq!(matrix, expected);
}

/// Lets a suite run from Monday on, minute by minute; a drill takes five minutes.
#[track_caller]
fn check(
    rules: &str,
    drills: &str,
    world: impl Fn(u64) -> Result<World, String>,
    lasting: u64,
    expected: &[&str],
) {
    let suite = suite(rules, drills);
    let (mut now, mut past, mut told) = (MONDAY, Vec::new(), Vec::new());
    while now < MONDAY + lasting {
        let world = world(now);
        let world = world.as_ref().map_err(String::as_str);
        let minutes = (now - MONDAY) / MINUTE;
        let at = format!("{:02}:{:02}", minutes / 60, minutes % 60);
        match decide(&suite, world, &past, MONDAY, now) {
            Decision::Begin { item, due, pick } => {
                let name = &item.drill.name;
                past.push(entry(name, due, &pick.target, Outcome::Succeeded));
                told.push(format!("{at} {name} SUCCEEDED"));
                now += 5 * MINUTE;
            }
            Decision::Skip { item, due, why } => {
                let name = &item.drill.name;
                past.push(entry(name, due, "", Outcome::Skipped));
                told.push(format!("{at} {name} SKIPPED: {why}"));
            }
            Decision::Wait { until, .. } => {
                assert!(until > now, "it waits for what is over");
                now += MINUTE;
            }
        }
    }
    assert_eq!(told, expected);
}

fn suite(rules: &str, drills: &str) -> Suite {
    let text = format!("version: 1\ntitle: a suite\n{rules}\ndrills:{drills}\n");
    Suite::parse("a-suite", &text).unwrap()
}

fn entry(drill: &str, due_unix_ms: u64, target: &str, outcome: Outcome) -> Entry {
    Entry {
        drill: drill.to_owned(),
        due_unix_ms,
        ended_unix_ms: due_unix_ms,
        target: Some(target.to_owned()),
        seed: Some(1),
        outcome,
        why: Vec::new(),
    }
}

/// c1 is active in east, c2 in north, c3 in south.
fn world() -> World {
    let regions: [RegionId; 3] = ["east", "north", "south"].map(|region| region.parse().unwrap());
    let cell = |index: usize| Cell {
        id: format!("c{}", index + 1).parse().unwrap(),
        active: Some(regions[index].clone()),
        standbys: (1..3).map(|n| regions[(index + n) % 3].clone()).collect(),
        redundant: true,
        phase: "steady".to_owned(),
        tally: Tally { epoch: Epoch(1), rebuilt: 0 },
    };
    World { cells: (0..3).map(cell).collect(), offers: Offers::default(), alarm: None }
}
