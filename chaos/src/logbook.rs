//! Writes what a run came to into etcd, where every control plane finds it. The run does not depend on
//! it: where it cannot be written, only the list of drills is the poorer.

use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use client::etcd::EtcdError;
use runtime::{clock, environment};
use tokio::time::{Instant, sleep, timeout};
use topology::wire::drill::{DrillRecord, DrillVerdict, KEPT, Took};
use topology::wire::key;
use topology::wire::suite::SuitePlan;

use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Value};
use crate::platform::Platform;
use crate::report::Report;
use crate::suite::Suite;
use crate::suite::past::{Entry, Outcome};

/// How long etcd is asked: a drill may just have killed all of it.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);
/// With these bounds all that is kept is about a megabyte at most.
const REASONS_MAX: usize = 10;
/// Letters of a reason or a title.
const TEXT_MAX: usize = 300;

/// Writes the record of a run, by which suite it was due, and forgets what is beyond the bound.
pub(crate) async fn write(
    platform: &Platform,
    report: &Report<'_>,
    suite: Option<&str>,
) -> anyhow::Result<()> {
    let environment = environment::id(&platform.run_dir)?.unwrap_or_default();
    let mut record = record(report, environment, clock::unix_millis());
    record.suite = suite.map(str::to_owned);
    put(platform, &record).await
}

/// Writes down that a suite's drill came to nothing without a report: it was skipped, or nobody lived to
/// write one.
pub(crate) async fn write_time(
    platform: &Platform,
    suite: &Suite,
    entry: &Entry,
) -> anyhow::Result<()> {
    let environment = environment::id(&platform.run_dir)?.unwrap_or_default();
    put(platform, &of_time(suite, entry, environment)).await
}

/// Writes what a suite does next. Tried once: the next change is written again, and this one with it.
pub(crate) async fn write_plan(platform: &Platform, plan: &SuitePlan) -> anyhow::Result<()> {
    let spec = &platform.spec;
    let etcd = Etcd::connect(spec.etcd_endpoints(None)).over(spec.round_trip);
    let value = serde_json::to_vec(plan).expect("a plan is plain JSON");
    let put = timeout(PATIENCE, etcd.put(key::SUITE_PLAN, value));
    put.await.context("wait for etcd")?.context("write the suite's plan into etcd")
}

async fn put(platform: &Platform, record: &DrillRecord) -> anyhow::Result<()> {
    let spec = &platform.spec;
    let etcd = Etcd::connect(spec.etcd_endpoints(None)).over(spec.round_trip);
    let begun = Instant::now();
    loop {
        match keep(&etcd, record).await {
            Err(_) if begun.elapsed() < PATIENCE => sleep(AGAIN).await,
            kept => return kept.context("write the run's record into etcd"),
        }
    }
}

async fn keep(etcd: &Etcd, record: &DrillRecord) -> Result<(), EtcdError> {
    let value = serde_json::to_vec(record).expect("a record is plain JSON");
    etcd.put(&record.key(), value).await?;
    etcd.shorten(key::DRILLS, KEPT).await
}

fn record(report: &Report<'_>, environment: String, ended_unix_ms: u64) -> DrillRecord {
    let (drill, verdict) = (report.drill, report.verdict);
    let measured = |measure| {
        let claim = verdict.claims.iter().find(|claim| claim.measure == measure);
        claim.map(|claim| claim.measured)
    };
    let took = |measure| match measured(measure)? {
        Measured::Got(Value::Time(time)) => {
            Some(Took::Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
        }
        Measured::Never => Some(Took::NEVER),
        Measured::Got(Value::Count(_)) | Measured::Unseen => None,
    };
    let count = |measure| match measured(measure)? {
        Measured::Got(Value::Count(count)) => Some(count),
        Measured::Got(Value::Time(_)) | Measured::Never | Measured::Unseen => None,
    };
    DrillRecord {
        run: report.id.to_owned(),
        drill: drill.name.clone(),
        title: cut(&drill.title),
        environment,
        seed: report.course.seed_of(drill),
        begun_unix_ms: report.clock.begun_unix_ms,
        ended_unix_ms,
        verdict: told(verdict.exit),
        exit_code: verdict.exit.code(),
        reasons: verdict.reasons.iter().take(REASONS_MAX).map(|reason| cut(reason)).collect(),
        recover_99_ms: took(Measure::Recover99),
        detect_ms: took(Measure::Detect),
        redundancy_restored_ms: took(Measure::RedundancyRestored),
        strong_lost: count(Measure::AckedStrongLost),
        weak_lost: count(Measure::AckedWeakLost),
        failed: count(Measure::Failed),
        held: u64::try_from(report.metrics.held.count).unwrap_or(u64::MAX),
        suite: None,
    }
}

/// Its times are when it was due: it is written once, however often it is written.
fn of_time(suite: &Suite, entry: &Entry, environment: String) -> DrillRecord {
    let item = suite.items.iter().find(|item| item.drill.name == entry.drill);
    let (verdict, exit) = match entry.outcome {
        Outcome::Skipped => (DrillVerdict::Skipped, Exit::Refused),
        Outcome::Interrupted => (DrillVerdict::Aborted, Exit::Aborted),
        // These have runs, and reports of their own.
        Outcome::Succeeded | Outcome::Failed | Outcome::Unknown => {
            (DrillVerdict::Unknown, Exit::Harness)
        }
    };
    DrillRecord {
        run: format!("{}-{}", entry.drill, entry.due_unix_ms),
        drill: entry.drill.clone(),
        title: item.map(|item| cut(&item.drill.title)).unwrap_or_default(),
        environment,
        seed: entry.seed.unwrap_or(suite.seed),
        begun_unix_ms: entry.due_unix_ms,
        ended_unix_ms: entry.ended_unix_ms,
        verdict,
        exit_code: exit.code(),
        reasons: entry.why.iter().take(REASONS_MAX).map(|reason| cut(reason)).collect(),
        recover_99_ms: None,
        detect_ms: None,
        redundancy_restored_ms: None,
        strong_lost: None,
        weak_lost: None,
        failed: None,
        held: 0,
        suite: Some(suite.name.clone()),
    }
}

fn told(exit: Exit) -> DrillVerdict {
    match exit {
        Exit::Pass => DrillVerdict::Pass,
        Exit::Availability | Exit::Safety => DrillVerdict::Fail,
        Exit::Inconclusive => DrillVerdict::Inconclusive,
        Exit::Unsteady => DrillVerdict::NoSteadyState,
        Exit::Aborted => DrillVerdict::Aborted,
        Exit::Residue => DrillVerdict::Residue,
        Exit::Harness => DrillVerdict::HarnessError,
        Exit::Refused => DrillVerdict::Skipped,
        // It is no run.
        Exit::Invalid => DrillVerdict::Unknown,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::Course;
    use crate::report::document;
    use crate::report::tests::with_report;
    use crate::verdict::{Goals, verdict};

    #[test]
    fn a_run_is_told_in_short_and_by_what_speaks_against_it() {
        let record = with_report(|report| record(report, "local-1".to_owned(), 7));
        assert_eq!(record.verdict, DrillVerdict::Fail);
        assert_eq!((record.exit_code, record.ended_unix_ms), (1, 7));
        assert_eq!((record.run.as_str(), record.drill.as_str()), ("region-loss-1", "region-loss"));
        assert_eq!(record.environment, "local-1");
        assert!(record.key().ends_with("-region-loss"), "{}", record.key());
        // The one message that was answered late was held, and nobody saw the loss detected.
        assert_eq!((record.failed, record.held, record.detect_ms), (Some(1), 1, None));
        assert_eq!(record.redundancy_restored_ms, Some(Took::Millis(500)));
        assert!(!record.reasons.is_empty());
    }

    #[test]
    fn what_was_claimed_and_did_not_happen_is_told_as_never() {
        let record = with_report(|report| {
            let mut drill = report.drill.clone();
            drill.limits.insert(Measure::Detect, Value::Time(Duration::from_secs(1)));
            let verdict = verdict(&drill, report.course, report.metrics, Goals::Warn);
            let again = String::new();
            let report = Report { drill: &drill, verdict: &verdict, again, ..*report };
            record(&report, String::new(), 7)
        });
        assert_eq!(record.detect_ms, Some(Took::NEVER));
    }

    #[test]
    fn the_seed_is_the_one_that_hits_the_same_again() {
        let seed = |seed| {
            with_report(|report| {
                let course = Course { seed, ..report.course.clone() };
                let report = Report { course: &course, again: String::new(), ..*report };
                (record(&report, String::new(), 7).seed, document(&report).seed)
            })
        };
        let own = with_report(|report| report.drill.seed);
        assert_eq!(seed(None), (own, own));
        assert_eq!(seed(Some(own + 3)), (own + 3, own + 3));
    }

    #[test]
    fn a_time_that_was_skipped_is_told_with_its_suite_and_why() {
        let (name, text) = crate::suite::SUITES[0];
        let suite = Suite::parse(name, text).unwrap();
        let entry = Entry {
            drill: "region-loss".to_owned(),
            due_unix_ms: 1_795_996_800_000,
            ended_unix_ms: 1_795_996_800_007,
            target: None,
            seed: None,
            outcome: Outcome::Skipped,
            why: vec!["the alert at-risk of c1".to_owned()],
        };
        let record = of_time(&suite, &entry, "local-1".to_owned());
        assert_eq!((record.verdict, record.exit_code), (DrillVerdict::Skipped, 8));
        assert_eq!(record.suite.as_deref(), Some("weekly"));
        assert_eq!(record.reasons, ["the alert at-risk of c1"]);
        assert_eq!(record.id(), "1795996800000-region-loss");
        assert!(!record.title.is_empty() && !record.is_pass());
    }

    #[test]
    fn however_much_goes_wrong_the_record_stays_small() {
        let record = with_report(|report| {
            let mut verdict = report.verdict.clone();
            verdict.reasons = (0..1000).map(|_| "错".repeat(10_000)).collect();
            record(&Report { verdict: &verdict, again: String::new(), ..*report }, String::new(), 7)
        });
        let bytes = serde_json::to_vec(&record).unwrap().len();
        // Letters take up to four bytes.
        assert!(bytes < REASONS_MAX * TEXT_MAX * 4 + 4096, "{bytes}");
    }
}
