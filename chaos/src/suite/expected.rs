//! Which drills of a suite are to pass again and again, and how long each may be without.

use topology::wire::suite::ExpectedPass;

use super::due::World;
use super::past::{Entry, Outcome};
use super::{Item, Suite};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A week, and a day for putting a failed one right.
const LEAST_MS: u64 = 8 * DAY_MS;

/// Returns them in the suite's order. What this platform was not started for is never run here, and not missed.
pub(crate) fn expected(
    suite: &Suite,
    world: &World,
    past: &[Entry],
    now: u64,
) -> Vec<ExpectedPass> {
    let here = suite.items.iter().filter(|item| item.drill.lacks(world.offers).is_none());
    let expected = here.filter_map(|item| {
        Some(ExpectedPass {
            drill: item.drill.name.clone(),
            within_ms: within_ms(item),
            first_due_unix_ms: first_due(item, past).or_else(|| suite.next(item, now))?,
        })
    });
    expected.collect()
}

fn within_ms(item: &Item) -> u64 {
    item.cron.longest_ms().map_or(LEAST_MS, |longest| LEAST_MS.max(longest + DAY_MS))
}

/// Returns when the first was due of those since it last succeeded.
fn first_due(item: &Item, past: &[Entry]) -> Option<u64> {
    let own = past.iter().rev().filter(|entry| entry.drill == item.drill.name);
    let since = own.take_while(|entry| entry.outcome != Outcome::Succeeded);
    since.map(|entry| entry.due_unix_ms).min()
}
