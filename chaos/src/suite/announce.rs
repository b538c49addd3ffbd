//! What a suite tells the platform of itself: what goes on, what comes next, what became of the last ones.

use topology::wire::suite::{Became, SuitePlan, Timed};

use super::Suite;
use super::coverage::plan;
use super::due::World;
use super::expected::expected;
use super::past::{Entry, Outcome};

/// With these bounds what is told is some kilobytes.
const NEXT: usize = 12;
const LAST: usize = 12;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How far is looked ahead: each drill of a weekly suite is due once …
const AHEAD_MS: u64 = 7 * DAY_MS;
/// … and of a monthly one, which may have none due for weeks.
const FAR_AHEAD_MS: u64 = 36 * DAY_MS;
/// Letters of a reason.
const WHY_MAX: usize = 300;

/// What is told. Two that differ in their time alone say the same.
pub(crate) fn announce(
    suite: &Suite,
    world: &World,
    past: &[Entry],
    running: Option<&Entry>,
    held: Option<&str>,
    now: u64,
) -> SuitePlan {
    // What goes on is written down as past already, lest it is run twice.
    let is_over = |entry: &&Entry| running != Some(*entry);
    let within = |ahead| plan(suite, world, past, now, now.saturating_add(ahead));
    let planned = within(AHEAD_MS)
        .and_then(|planned| if planned.is_empty() { within(FAR_AHEAD_MS) } else { Ok(planned) });
    let (planned, unplanned) = match planned {
        Ok(planned) => (planned, None),
        Err(why) => (Vec::new(), Some(format!("what comes next is not known: {why}"))),
    };
    // What is past here outlives a platform that is started anew and has forgotten what passed.
    let unrehearsed = past.iter().rev().take_while(|entry| entry.outcome != Outcome::Succeeded);
    let first_due = unrehearsed.map(|entry| entry.due_unix_ms).min();
    let first_due_unix_ms = first_due.or_else(|| planned.first().map(|run| run.due_unix_ms));
    let next = planned.into_iter().take(NEXT).map(|run| Timed {
        drill: run.drill,
        due_unix_ms: run.due_unix_ms,
        target: Some(run.target),
    });
    let held: Vec<String> = held.map(str::to_owned).into_iter().chain(unplanned).collect();
    SuitePlan {
        suite: suite.name.clone(),
        title: suite.title.clone(),
        written_unix_ms: now,
        running: running.map(due),
        held: (!held.is_empty()).then(|| held.join("; ")),
        next: next.collect(),
        last: past.iter().rev().filter(is_over).take(LAST).map(became).collect(),
        first_due_unix_ms,
        expected: expected(suite, world, past, now),
    }
}

/// Whether there is anything new in it.
pub(crate) fn is_news(told: &SuitePlan, before: Option<&SuitePlan>) -> bool {
    let same_time = |plan: &SuitePlan| SuitePlan { written_unix_ms: 0, ..plan.clone() };
    before.map(same_time) != Some(same_time(told))
}

fn due(entry: &Entry) -> Timed {
    let Entry { drill, due_unix_ms, target, .. } = entry;
    Timed { drill: drill.clone(), due_unix_ms: *due_unix_ms, target: target.clone() }
}

fn became(entry: &Entry) -> Became {
    let why = entry.why.first().map(|why| why.chars().take(WHY_MAX).collect());
    Became { due: due(entry), outcome: entry.outcome, why }
}
