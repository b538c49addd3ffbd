//! A cell in virtual time: thousands of schedules of faults, and what must hold in all of them.
//!
//! `SEEDS=100000` runs more of them, `SEED=7` one with everything that happened in it.

#![expect(clippy::print_stdout, reason = "what was run is the test's output")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tests::sim::checker::Counts;
use tests::sim::run::{Failure, Outcome, run, shrink};
use tests::sim::sabotage::Sabotage;
use tests::sim::schedule::{Cut, Fault, Kind, Schedule, Way, Who};
use tests::sim::theme::Theme;
use tokio::time::Instant;

/// How many schedules are run unless asked otherwise: half a minute on two cores.
const SEEDS: u64 = 5_000;
/// How often a long run says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);
/// How many of the last events a failure shows.
const EVENTS: usize = 150;

const ACTIVE: Who = Who::Active;
const FIRST: Who = Who::Other(0);
const SECOND: Who = Who::Other(1);

/// What once failed, as small as it could be made.
struct Regression {
    name: &'static str,
    /// How it was before.
    was: Sabotage,
    ends: u64,
    /// When, for how long, what.
    faults: &'static [(u64, u64, Kind)],
}

/// With how many seeds each is run.
const REGRESSION_SEEDS: u64 = 100;

static REGRESSIONS: [Regression; 4] = [
    Regression {
        name: "a change of voters without an answer happens after the one it lets go has come back",
        was: Sabotage::RecordLeftUnsettled,
        ends: 31_324,
        faults: &[
            (3_889, 14_852, Kind::Cut(Cut::Sites(ACTIVE, FIRST), Way::Both)),
            (15_443, 6_021, Kind::EtcdStop),
            (20_140, 6_000, Kind::Cut(Cut::Sites(ACTIVE, SECOND), Way::Both)),
            (20_804, 6_623, Kind::CrashSite(ACTIVE)),
        ],
    },
    Regression {
        name: "two sites promoted one after the other begin timelines of the same number",
        was: Sabotage::TrustTheTimeline,
        ends: 16_000,
        faults: &[
            (4_646, 4_702, Kind::Cut(Cut::Sites(ACTIVE, FIRST), Way::Both)),
            (4_646, 4_510, Kind::Cut(Cut::Sites(ACTIVE, SECOND), Way::Both)),
            (5_133, 0, Kind::Switchover(FIRST)),
            (8_568, 4_283, Kind::CrashSite(ACTIVE)),
            (15_090, 0, Kind::Switchover(FIRST)),
        ],
    },
    Regression {
        name: "a restarted agent takes a renewal of its former life for its own",
        was: Sabotage::RenewalsCountedFromOne,
        ends: 11_017,
        faults: &[
            (3_130, 4_597, Kind::StopAgent(ACTIVE)),
            (4_017, 7_000, Kind::EtcdStale),
            (5_780, 157, Kind::CrashSite(FIRST)),
            (6_078, 1_976, Kind::CrashSite(SECOND)),
        ],
    },
    Regression {
        name: "a restarted agent opens an epoch that is over, on the promise of who left its voters",
        was: Sabotage::PromisesBeginARight,
        ends: 30_000,
        faults: &[
            (4_000, 14_200, Kind::CrashSite(SECOND)),
            (14_734, 4_232, Kind::StopAgent(ACTIVE)),
            (15_782, 7_000, Kind::EtcdStale),
            (16_993, 5_000, Kind::CrashSite(FIRST)),
        ],
    },
];

/// Each mistake, and what brings it out.
const SABOTAGES: [(Sabotage, Theme); 21] = [
    (Sabotage::RecordLeftUnsettled, Theme::Unsettled),
    (Sabotage::RenewalsCountedFromOne, Theme::Forget),
    (Sabotage::TrustTheTimeline, Theme::Twice),
    (Sabotage::VoteNotOnDisk, Theme::Forget),
    (Sabotage::VoteWithoutCut, Theme::Forget),
    (Sabotage::VotesDespitePromise, Theme::Promise),
    (Sabotage::NoWaitAfterRestart, Theme::Promise),
    (Sabotage::OneVoteIsEnough, Theme::Half),
    (Sabotage::LeaseFromTheReply, Theme::Late),
    (Sabotage::RightFromTheRecord, Theme::Unheard),
    (Sabotage::RenewalSaidTooSoon, Theme::Late),
    (Sabotage::LeaseNotCompared, Theme::Blink),
    (Sabotage::RecordBeforeName, Theme::Leave),
    (Sabotage::NameBeforeRecord, Theme::Leave),
    (Sabotage::LeaversPromiseCounts, Theme::Unanswered),
    (Sabotage::NoWaitForTheRight, Theme::Aborted),
    (Sabotage::HandedOverBeforeTheGatewayKnows, Theme::SlowDisk),
    (Sabotage::FlushedReadBeforeTheGate, Theme::SlowDisk),
    (Sabotage::NoFlushBeforeRecord, Theme::Behind),
    (Sabotage::NoBarrier, Theme::Alone),
    (Sabotage::GateNotCheckedAfterwards, Theme::Frozen),
];
/// Within how many schedules of its theme, or seeds of what once failed, a mistake is found at the latest.
const FOUND_WITHIN: u64 = 1000;

#[test]
fn no_schedule_of_faults_breaks_an_invariant() {
    if let Some(seed) = number("SEED") {
        let outcome = run(&Schedule::of(seed), None, true);
        println!("{}", told(&Schedule::of(seed), &outcome, usize::MAX));
        assert!(outcome.failure.is_none(), "seed {seed} fails");
        return;
    }
    for (regression, seed) in regressions() {
        must_hold(&regression.schedule(seed), regression.name);
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let begun = Instant::now();
    let total = Mutex::new(Total::default());
    let failed = Mutex::new(None);
    in_parallel(1..=seeds, |seed| {
        let schedule = Schedule::of(seed);
        let outcome = run(&schedule, None, false);
        let mut total = total.lock().unwrap();
        total.add(&schedule, &outcome);
        if total.schedules.is_multiple_of(1000) && total.told.elapsed() >= PROGRESS {
            total.told = Instant::now();
            println!("{} of {seeds} schedules", total.schedules);
        }
        let fails = outcome.failure.is_some();
        if fails {
            let mut failed = failed.lock().unwrap();
            *failed = Some(failed.map_or(seed, |other: u64| other.min(seed)));
        }
        !fails
    });
    if let Some(seed) = *failed.lock().unwrap() {
        must_hold(&Schedule::of(seed), &format!("seed {seed}"));
    }
    let total = total.lock().unwrap();
    println!("{total} in {:.0} s", begun.elapsed().as_secs_f64());
}

/// What is no reason to move a cell, or the reason to move it once, and by whose evidence.
struct Trouble {
    name: &'static str,
    /// Until when the cell must serve strong writes again, whether or not the trouble is over.
    ends: u64,
    faults: &'static [(u64, u64, Kind)],
    /// How often the cell is moved.
    moved: u64,
}

/// A control plane moves nothing for such reasons in its first minute.
static TROUBLES: [Trouble; 5] = [
    Trouble {
        name: "one control plane sees no site, while the lease is silent for longer than patience",
        ends: 80_000,
        faults: &[
            (64_000, 14_000, Kind::Cut(Cut::View(1), Way::Both)),
            (66_000, 4_000, Kind::Cut(Cut::FromEtcd(ACTIVE), Way::Both)),
        ],
        moved: 0,
    },
    Trouble {
        name: "the agent lives and its PostgreSQL does not",
        ends: 95_000,
        faults: &[(65_000, 60_000, Kind::StopPostgres(ACTIVE))],
        moved: 1,
    },
    Trouble {
        name: "a site is slow and healthy",
        ends: 90_000,
        faults: &[(65_000, 40_000, Kind::SlowGateway(ACTIVE, 1_500))],
        moved: 1,
    },
    Trouble {
        name: "a site is slow for a moment",
        ends: 80_000,
        faults: &[(65_000, 8_000, Kind::SlowGateway(ACTIVE, 1_500))],
        moved: 0,
    },
    Trouble {
        name: "a site comes and goes",
        ends: 90_000,
        faults: &[
            (62_000, 1_400, Kind::StopAgent(ACTIVE)),
            (67_000, 1_400, Kind::StopAgent(ACTIVE)),
            (72_000, 1_400, Kind::StopAgent(ACTIVE)),
            (77_000, 1_400, Kind::StopAgent(ACTIVE)),
        ],
        moved: 0,
    },
];
/// With how many seeds each is run.
const TROUBLE_SEEDS: u64 = 5;

#[test]
fn a_cell_is_moved_for_what_is_wrong_with_its_site_and_for_nothing_else() {
    for trouble in &TROUBLES {
        for seed in 1..=TROUBLE_SEEDS {
            let fault = |&(at, lasts, kind): &(u64, u64, Kind)| Fault { at, lasts, kind };
            let faults = trouble.faults.iter().map(fault).collect();
            let schedule = Schedule { seed, ends: trouble.ends, faults };
            let outcome = run(&schedule, None, false);
            let moved = outcome.counts.promotions;
            if outcome.failure.is_some() || moved != trouble.moved {
                let outcome = run(&schedule, None, true);
                println!("{}", told(&schedule, &outcome, EVENTS));
                panic!("{}: seed {seed} moved the cell {moved} times", trouble.name);
            }
        }
    }
}

/// With how many seeds a slow disk is left.
const SLOW_DISK_SEEDS: u64 = 300;

#[test]
fn a_site_that_is_left_without_a_clean_stop_loses_and_doubles_nothing() {
    let left = all_hold(Theme::SlowDisk, SLOW_DISK_SEEDS, |counts| counts.abandoned);
    assert!(left > SLOW_DISK_SEEDS / 4, "hardly anybody was left: {left}");
}

/// With how many seeds something else goes wrong while a slow site is left.
const GRAY_SEEDS: u64 = 100;

#[test]
fn a_slow_site_that_is_left_while_something_else_goes_wrong_loses_and_doubles_nothing() {
    let left = all_hold(Theme::Gray, GRAY_SEEDS, |counts| counts.promotions);
    assert!(left > GRAY_SEEDS / 2, "hardly any cell was moved: {left}");
}

/// With how many seeds a standby is kept out among faults.
const KEPT_OUT_SEEDS: u64 = 300;

#[test]
fn sites_that_people_keep_out_break_nothing() {
    let changes = all_hold(Theme::KeptOut, KEPT_OUT_SEEDS, |counts| counts.voters_changed);
    assert!(changes > KEPT_OUT_SEEDS, "hardly anybody left or joined: {changes}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in [3, 4, 5] {
        let one = run(&Schedule::of(seed), None, true);
        let other = run(&Schedule::of(seed), None, true);
        assert_eq!(one.polls, other.polls);
        assert_eq!(one.trace, other.trace);
    }
}

#[test]
fn every_sabotage_is_found() {
    let mut missed = Vec::new();
    for (sabotage, theme) in SABOTAGES {
        let found = Mutex::new(None);
        in_parallel(1..=FOUND_WITHIN, |seed| {
            let outcome = run(&Schedule::of_theme(seed, theme), Some(sabotage), false);
            if let Some(Failure::Broken(violation)) = outcome.failure {
                let mut found = found.lock().unwrap();
                if found.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *found = Some((seed, violation));
                }
                return false;
            }
            true
        });
        match found.into_inner().unwrap() {
            Some((seed, violation)) => {
                println!(
                    "{sabotage:?}: seed {seed}, {}: {}",
                    violation.invariant, violation.witness
                );
            }
            None => missed.push(sabotage),
        }
    }
    assert_eq!(missed, [], "not found");
}

impl Regression {
    fn schedule(&self, seed: u64) -> Schedule {
        let fault = |&(at, lasts, kind): &(u64, u64, Kind)| Fault { at, lasts, kind };
        let faults = self.faults.iter().map(fault).collect();
        Schedule { seed, ends: self.ends, faults }
    }
}

#[test]
fn what_once_failed_still_would() {
    let fails = |regression: &Regression, seed| {
        let outcome = run(&regression.schedule(seed), Some(regression.was), false);
        matches!(outcome.failure, Some(Failure::Broken(_)))
    };
    for regression in &REGRESSIONS {
        let found = (1..=FOUND_WITHIN).find(|seed| fails(regression, *seed));
        assert!(found.is_some(), "{}", regression.name);
    }
}

/// The faults are what failed; each is run with several seeds, so that a change of the models, which
/// changes what a seed means, does not lose it.
fn regressions() -> impl Iterator<Item = (&'static Regression, u64)> {
    REGRESSIONS
        .iter()
        .flat_map(|regression| (1..=REGRESSION_SEEDS).map(move |seed| (regression, seed)))
}

/// Runs schedules of a theme, all of which must hold, and returns how often something happened in them.
#[track_caller]
fn all_hold(theme: Theme, seeds: u64, count: impl Fn(&Counts) -> u64 + Sync) -> u64 {
    let failed = Mutex::new(None);
    let counted = AtomicU64::new(0);
    in_parallel(1..=seeds, |seed| {
        let outcome = run(&Schedule::of_theme(seed, theme), None, false);
        counted.fetch_add(count(&outcome.counts), Ordering::Relaxed);
        let fails = outcome.failure.is_some();
        if fails {
            *failed.lock().expect("no schedule panics") = Some(seed);
        }
        !fails
    });
    if let Some(seed) = *failed.lock().expect("no schedule panics") {
        must_hold(&Schedule::of_theme(seed, theme), &format!("seed {seed}"));
    }
    counted.into_inner()
}

/// Runs a schedule; one that fails is made smaller, told, and fails the test.
#[track_caller]
fn must_hold(schedule: &Schedule, name: &str) {
    if run(schedule, None, false).failure.is_some() {
        let smallest = shrink(schedule, None);
        let outcome = run(&smallest, None, true);
        println!("{}", told(&smallest, &outcome, EVENTS));
        println!(
            "all of it again, if the schedule is the seed's own: make sim SEED={}",
            schedule.seed
        );
        panic!("{name} fails: {:?}", outcome.failure);
    }
}

fn told(schedule: &Schedule, outcome: &Outcome, events: usize) -> String {
    let faults = schedule.faults.iter().map(|fault| format!("  {fault}"));
    let last = outcome.trace.len().saturating_sub(events);
    let trace = outcome.trace.iter().skip(last).cloned();
    let head = format!("seed {}, healed at {} ms", schedule.seed, schedule.ends);
    let end = format!("{:?}, {:?}", outcome.failure, outcome.counts);
    let lines = std::iter::once(head).chain(faults).chain(trace).chain([end]);
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs `work` on each seed, on every core, in order, until it returns false.
fn in_parallel(seeds: std::ops::RangeInclusive<u64>, work: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(*seeds.start());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    if !work(seed) {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().expect("a number"))
}

struct Total {
    schedules: u64,
    faults: u64,
    virtual_ms: u64,
    slowest_ms: u64,
    counts: Counts,
    told: Instant,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            schedules: 0,
            faults: 0,
            virtual_ms: 0,
            slowest_ms: 0,
            counts: Counts::default(),
            told: Instant::now(),
        }
    }
}

impl Total {
    fn add(&mut self, schedule: &Schedule, outcome: &Outcome) {
        self.schedules += 1;
        self.faults += schedule.faults.len() as u64;
        self.virtual_ms += outcome.virtual_ms;
        self.slowest_ms = self.slowest_ms.max(outcome.back_after);
        let (sum, one) = (&mut self.counts, &outcome.counts);
        sum.strong += one.strong;
        sum.weak += one.weak;
        sum.reads += one.reads;
        sum.elections += one.elections;
        sum.promotions += one.promotions;
        sum.moves += one.moves;
        sum.abandoned += one.abandoned;
        sum.voters_changed += one.voters_changed;
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { strong, weak, reads, elections, promotions, moves, abandoned, voters_changed } =
            self.counts;
        write!(
            f,
            "{} schedules of {} s in all: {} faults, {elections} elections, {moves} planned moves, \
             {abandoned} without a clean stop, {promotions} promotions, {voters_changed} changes \
             of voters, {strong} strong and {weak} weak writes acknowledged, {reads} reads; at most \
             {:.1} s from the last fault to the next strong write",
            self.schedules,
            self.virtual_ms / 1000,
            self.faults,
            Duration::from_millis(self.slowest_ms).as_secs_f64(),
        )
    }
}
