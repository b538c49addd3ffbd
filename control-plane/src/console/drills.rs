//! Runs of drills: what each came to, and how each drill went of late.

mod schedule;
mod trend;

use std::time::Duration;

use askama::Template;
use topology::wire::drill::{DrillRecord, DrillVerdict, Took};

use super::page::Scene;
use super::texts::{Texts, fill};
use super::words::{Mark, Moment, Tone};
use schedule::Schedule;
use trend::{Trend, trends};

/// Runs shown; the API has the rest.
const SHOWN: usize = 50;
/// What nobody saw.
const UNSEEN: &str = "–";

#[derive(Template)]
#[template(path = "console/drills.html")]
pub(super) struct DrillsPage<'a> {
    t: &'a Texts,
    caption: String,
    /// Why no drill runs, if the lever is pulled.
    lever: Option<Pulled>,
    schedule: Option<Schedule>,
    trends: Vec<Trend>,
    runs: Vec<Run>,
}

struct Pulled {
    why: String,
    who: Option<String>,
    since: Option<Moment>,
}

struct Run {
    id: String,
    at: Moment,
    drill: String,
    title: String,
    verdict: Mark,
    reasons: Vec<String>,
    recovered: String,
    detected: String,
    redundant: String,
    lost: String,
    /// Whether an acknowledged strong write is gone.
    is_grave: bool,
    requests: String,
    seed: String,
}

impl<'a> DrillsPage<'a> {
    #[must_use]
    pub(super) fn of(scene: &Scene<'a>) -> Self {
        let drills = scene.console.drills.borrow().clone();
        let known = scene.console.schedule.borrow().clone();
        let lever = known.and_then(|known| known.lever.clone());
        let shown = drills.runs.len().min(SHOWN);
        Self {
            t: scene.t,
            caption: fill(scene.t.drills_caption, &[("count", &shown.to_string())]),
            lever: lever.map(|lever| Pulled {
                why: lever.reason,
                who: lever.who,
                since: lever.since_unix_ms.map(Moment::at),
            }),
            schedule: Schedule::of(scene),
            trends: trends(scene.t, &drills.runs),
            runs: drills.runs.iter().take(SHOWN).map(|(id, run)| told(scene.t, id, run)).collect(),
        }
    }
}

fn told(t: &Texts, id: &str, run: &DrillRecord) -> Run {
    let count = |count: Option<u64>| count.map_or_else(|| UNSEEN.to_owned(), |n| n.to_string());
    let (strong, weak, failed) = (count(run.strong_lost), count(run.weak_lost), count(run.failed));
    let seed = run.seed.to_string();
    Run {
        id: id.to_owned(),
        at: Moment::at(run.begun_unix_ms),
        drill: run.drill.clone(),
        title: run.title.clone(),
        verdict: verdict(t, run.verdict),
        reasons: run.reasons.clone(),
        recovered: took(t, run.recover_99_ms),
        detected: took(t, run.detect_ms),
        redundant: took(t, run.redundancy_restored_ms),
        lost: fill(t.lost_of, &[("strong", &strong), ("weak", &weak)]),
        is_grave: run.strong_lost.is_some_and(|lost| lost > 0),
        requests: fill(t.requests_of, &[("failed", &failed), ("held", &run.held.to_string())]),
        seed: fill(t.seed_of, &[("seed", &seed), ("environment", &run.environment)]),
    }
}

fn verdict(t: &Texts, verdict: DrillVerdict) -> Mark {
    match verdict {
        DrillVerdict::Pass => Mark::new(Tone::Good, t.verdict_pass),
        DrillVerdict::Fail => Mark::new(Tone::Bad, t.verdict_fail),
        DrillVerdict::Residue => Mark::new(Tone::Bad, t.verdict_residue),
        DrillVerdict::Inconclusive => Mark::new(Tone::Warn, t.verdict_inconclusive),
        DrillVerdict::NoSteadyState => Mark::new(Tone::Warn, t.verdict_no_steady_state),
        DrillVerdict::HarnessError => Mark::new(Tone::Warn, t.verdict_harness_error),
        DrillVerdict::Skipped => Mark::new(Tone::Warn, t.verdict_skipped),
        DrillVerdict::Aborted => Mark::new(Tone::Calm, t.verdict_aborted),
        DrillVerdict::Unknown => Mark::new(Tone::Calm, t.unknown),
    }
}

/// Writes a time as precisely as drills measure it.
fn took(t: &Texts, took: Option<Took>) -> String {
    match took {
        None => UNSEEN.to_owned(),
        Some(Took::Never(_)) => t.never.to_owned(),
        Some(Took::Millis(millis)) => {
            format!("{:.2} s", Duration::from_millis(millis).as_secs_f64())
        }
    }
}
