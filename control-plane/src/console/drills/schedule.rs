//! Drills by schedule: who has them run, what goes on, what comes next, and what became of the last ones.

use topology::wire::suite::{Became, Outcome, SuitePlan, Timed};

use crate::console::page::Scene;
use crate::console::texts::{Texts, fill};
use crate::console::words::{Mark, Moment, Tone};

pub(super) struct Schedule {
    pub(super) caption: String,
    /// Who has them run.
    pub(super) executor: String,
    /// Why what is due does not begin, in the suite's words.
    pub(super) held: Option<String>,
    pub(super) rows: Vec<Row>,
}

/// A drill at its time.
pub(super) struct Row {
    pub(super) at: Moment,
    pub(super) drill: String,
    pub(super) target: String,
    pub(super) state: Mark,
    /// What speaks against it.
    pub(super) why: Option<String>,
}

impl Schedule {
    /// Returns nothing where no drills are run so.
    pub(super) fn of(scene: &Scene<'_>) -> Option<Self> {
        let known = scene.console.schedule.borrow().clone().filter(|known| known.is_kept())?;
        let t = scene.t;
        let executor = known.executor.as_deref().map_or_else(
            || t.suite_by_nobody.to_owned(),
            |region| fill(t.suite_by, &[("region", &scene.region_name(region))]),
        );
        let plan = known.plan.as_ref();
        let rows = plan.map(|plan| rows(t, plan)).unwrap_or_default();
        let caption = plan.map_or_else(
            || t.by_schedule.to_owned(),
            |plan| fill(t.suite_caption, &[("suite", &plan.suite), ("title", &plan.title)]),
        );
        Some(Self { caption, executor, held: plan.and_then(|plan| plan.held.clone()), rows })
    }
}

/// What is past, what goes on, what comes: in the order of time.
fn rows(t: &Texts, plan: &SuitePlan) -> Vec<Row> {
    let past = plan.last.iter().rev().map(|became| became_row(t, became));
    let running = plan.running.iter().map(|due| row(due, Mark::new(Tone::Busy, t.suite_runs)));
    let next = plan.next.iter().map(|due| row(due, Mark::new(Tone::Calm, t.suite_due)));
    past.chain(running).chain(next).collect()
}

fn became_row(t: &Texts, became: &Became) -> Row {
    let state = match became.outcome {
        Outcome::Succeeded => Mark::new(Tone::Good, t.suite_succeeded),
        Outcome::Failed => Mark::new(Tone::Bad, t.suite_failed),
        Outcome::Interrupted => Mark::new(Tone::Warn, t.suite_interrupted),
        Outcome::Skipped => Mark::new(Tone::Warn, t.suite_skipped),
        Outcome::Unknown => Mark::new(Tone::Calm, t.unknown),
    };
    Row { why: became.why.clone(), ..row(&became.due, state) }
}

fn row(due: &Timed, state: Mark) -> Row {
    Row {
        at: Moment::at(due.due_unix_ms),
        drill: due.drill.clone(),
        target: due.target.clone().unwrap_or_default(),
        state,
        why: None,
    }
}
