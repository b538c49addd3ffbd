//! What a suite will do, and what it has done to whom: the next runs, and every drill against every
//! target.

use std::collections::BTreeSet;

use runtime::clock;
use serde::Serialize;

use super::Suite;
use super::due::World;
use super::past::{Entry, Outcome};
use super::rotation::{Pick, pick, targets};

/// A run to come, if all goes well until then and the cells stay where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Planned {
    pub(crate) drill: String,
    pub(crate) due_unix_ms: u64,
    pub(crate) target: String,
    pub(crate) seed: u64,
}

/// A drill and one of those it is meant to hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Square {
    pub(crate) drill: String,
    pub(crate) target: String,
    pub(crate) last: Option<Last>,
    /// The first of the runs to come.
    pub(crate) next_unix_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Last {
    pub(crate) due_unix_ms: u64,
    pub(crate) outcome: Outcome,
}

/// Returns the runs between two moments, in order.
pub(crate) fn plan(
    suite: &Suite,
    world: &World,
    past: &[Entry],
    now: u64,
    until: u64,
) -> Result<Vec<Planned>, String> {
    let mut due = Vec::new();
    for item in &suite.items {
        if item.drill.lacks(world.offers).is_some() {
            continue;
        }
        let mut at = now;
        while let Some(next) = suite.next(item, at).filter(|next| *next < until) {
            due.push((next, item));
            at = next;
        }
    }
    due.sort_by_key(|(due, _)| *due);
    let mut past = past.to_vec();
    let mut planned = Vec::new();
    for (due, item) in due {
        let base = suite.base(due);
        let Pick { target, seed, .. } = pick(&item.drill, &world.cells, &past, suite.seed, base)?;
        past.push(Entry {
            drill: item.drill.name.clone(),
            due_unix_ms: due,
            ended_unix_ms: due,
            target: Some(target.clone()),
            seed: Some(seed),
            outcome: Outcome::Succeeded,
            why: Vec::new(),
        });
        planned.push(Planned { drill: item.drill.name.clone(), due_unix_ms: due, target, seed });
    }
    Ok(planned)
}

/// Returns every drill with everybody it is meant to hit.
pub(crate) fn coverage(
    suite: &Suite,
    world: &World,
    past: &[Entry],
    planned: &[Planned],
) -> Vec<Square> {
    let squares = suite.items.iter().flat_map(|item| {
        let drill = &item.drill.name;
        targets(&item.drill, &world.cells).into_iter().map(move |target| {
            let hit = |entry: &&Entry| {
                entry.is_rehearsed()
                    && entry.drill == *drill
                    && entry.target.as_ref() == Some(&target)
            };
            let last = past.iter().filter(hit).max_by_key(|entry| entry.due_unix_ms);
            let last =
                last.map(|entry| Last { due_unix_ms: entry.due_unix_ms, outcome: entry.outcome });
            let next = planned.iter().find(|run| run.drill == *drill && run.target == target);
            let next_unix_ms = next.map(|run| run.due_unix_ms);
            Square { drill: drill.clone(), target, last, next_unix_ms }
        })
    });
    squares.collect()
}

/// Returns the runs as lines for people.
pub(crate) fn lines(planned: &[Planned]) -> Vec<String> {
    let line = |run: &Planned| {
        let Planned { drill, due_unix_ms, target, seed } = run;
        format!("{}  {drill:<25} {target:<10} seed {seed}", clock::utc(*due_unix_ms))
    };
    planned.iter().map(line).collect()
}

/// Returns the matrix as lines for people: when each was hit last, and else when it will be.
pub(crate) fn table(squares: &[Square]) -> Vec<String> {
    const NAME: usize = 26;
    const COLUMN: usize = 13;
    let targets: BTreeSet<&str> = squares.iter().map(|square| square.target.as_str()).collect();
    let row = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<COLUMN$}")).collect();
        format!("{name:<NAME$}{}", cells.concat()).trim_end().to_owned()
    };
    let head: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let mut drills: Vec<&str> = squares.iter().map(|square| square.drill.as_str()).collect();
    drills.dedup();
    let rows = drills.into_iter().map(|drill| {
        let cells = targets.iter().map(|target| {
            let mut of_drill = squares.iter().filter(|square| square.drill == drill);
            let found = of_drill.find(|square| square.target == **target);
            found.map_or_else(String::new, told)
        });
        row(drill, &cells.collect::<Vec<_>>())
    });
    std::iter::once(row("", &head)).chain(rows).collect()
}

fn told(square: &Square) -> String {
    // The year is in the list of runs.
    let day = |unix_ms| clock::utc(unix_ms).get(5..10).unwrap_or_default().to_owned();
    match (square.last, square.next_unix_ms) {
        (Some(Last { due_unix_ms, outcome: Outcome::Succeeded }), _) => {
            format!("{} ok", day(due_unix_ms))
        }
        (Some(Last { due_unix_ms, .. }), _) => format!("{} FAILED", day(due_unix_ms)),
        (None, Some(next)) => format!("({})", day(next)),
        (None, None) => "never".to_owned(),
    }
}
