//! What a suite does now: begin a drill, give one up, or wait.

use super::past::Entry;
use super::rotation::{Pick, pick};
use super::{Item, Suite};
use crate::control_plane::Cell;
use crate::drill::Offers;

/// How soon is looked again whether what keeps a drill from beginning is over.
const LOOK_MS: u64 = 30_000;

/// The platform, as far as a suite needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) cells: Vec<Cell>,
    pub(crate) offers: Offers,
    /// What a person should look at before anything is broken.
    pub(crate) alarm: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Decision<'a> {
    Begin {
        item: &'a Item,
        due: u64,
        pick: Pick,
    },
    /// It was due, and does not begin any more.
    Skip {
        item: &'a Item,
        due: u64,
        why: String,
    },
    /// Nothing is to be done until then, unless something changes; `held` is why what is due does not
    /// begin.
    Wait {
        until: u64,
        held: Option<String>,
    },
}

/// Returns what is to be done now. Of a drill that is not among what is past, nothing is due before
/// `since`. One drill at a time, the one that was due first; of one that was missed more than once, only
/// the last time counts.
pub(crate) fn decide<'a>(
    suite: &'a Suite,
    world: Result<&World, &str>,
    past: &[Entry],
    since: u64,
    now: u64,
) -> Decision<'a> {
    let deadline = millis(suite.deadline);
    let mut due: Vec<(u64, &Item)> = suite
        .items
        .iter()
        .filter_map(|item| Some((last_due(item, past, since, now)?, item)))
        .collect();
    due.sort_by_key(|(due, _)| *due);
    let held = held(suite, world, now);
    for (due, item) in &due {
        let (due, item) = (*due, *item);
        if let Some(why) = suite.calendar.closed_at(due).or_else(|| never_here(item, world)) {
            return Decision::Skip { item, due, why };
        }
        if now - due > deadline {
            let why = held.unwrap_or_else(|| "nobody was there to begin it".to_owned());
            let late = deadline / 60_000;
            return Decision::Skip {
                item,
                due,
                why: format!("not begun within {late} min: {why}"),
            };
        }
    }
    let next = suite.items.iter().filter_map(|item| suite.next(item, now)).min();
    let next = next.unwrap_or(u64::MAX);
    let Some((due, item)) = due.first().copied() else {
        return Decision::Wait { until: next, held: None };
    };
    let begin = match (held, world) {
        (Some(held), _) => Err(held),
        (None, Err(why)) => Err(why.to_owned()),
        (None, Ok(world)) => pick(&item.drill, &world.cells, past, suite.seed, suite.base(due)),
    };
    match begin {
        Ok(pick) => Decision::Begin { item, due, pick },
        // At the end of its time it is given up.
        Err(held) => {
            let until = next.min(now + LOOK_MS).min(due + deadline + 1);
            Decision::Wait { until, held: Some(held) }
        }
    }
}

/// Returns when a drill was due last, if nothing became of that yet.
fn last_due(item: &Item, past: &[Entry], since: u64, now: u64) -> Option<u64> {
    let same = past.iter().filter(|entry| entry.drill == item.drill.name);
    let seen = same.map(|entry| entry.due_unix_ms).max();
    item.cron.until(now).filter(|due| seen.map_or(*due >= since, |seen| *due > seen))
}

/// Returns why nothing may begin now.
fn held(suite: &Suite, world: Result<&World, &str>, now: u64) -> Option<String> {
    match world {
        Err(why) => Some(why.to_owned()),
        Ok(world) => suite.calendar.closed_at(now).or_else(|| world.alarm.clone()),
    }
}

/// Returns why a drill cannot be run on this platform at all.
fn never_here(item: &Item, world: Result<&World, &str>) -> Option<String> {
    item.drill.lacks(world.ok()?.offers).map(str::to_owned)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
