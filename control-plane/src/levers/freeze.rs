//! The global freeze: nothing is moved, neither by plan nor by itself.

use runtime::{Problem, clock};
use tokio::time::Instant;

use super::preview::{Ahead, Preview, preview};
use super::{asked, fresh, history};
use crate::api::{Api, error};
use crate::decide::State;
use crate::store::Freeze;

/// Longest freeze that ends by itself, in seconds: longer than any incident. One that shall last has no end.
pub(crate) const FOR_MAX_S: u64 = 7 * 24 * 3600;

/// What somebody says about it.
#[derive(Clone, Debug)]
pub struct Order {
    pub frozen: bool,
    pub reason: String,
    pub who: String,
    /// How long it holds; until it is lifted without.
    pub for_ms: Option<u64>,
    pub expected: Option<String>,
}

/// What was last said, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub holds: bool,
    pub said: Option<Freeze>,
    /// Changes whenever somebody says something.
    pub tag: String,
}

/// Returns what was last said.
#[must_use]
pub fn standing(state: &State, now: Instant) -> Standing {
    let intent = state.intent();
    let last = intent.last_freeze();
    let version = last.map_or(0, |seen| seen.version.0);
    Standing {
        holds: intent.freeze(now).is_some(),
        said: last.map(|seen| seen.freeze.clone()),
        tag: format!("\"{version}\""),
    }
}

/// Returns what that would come to, for every cell: what goes on is held up by a freeze, and begins again
/// without.
pub async fn ahead(api: &Api, frozen: bool) -> Result<Preview, Problem> {
    let state = fresh(api).await?;
    let history = history::read(api).await?;
    let standing = standing(&state, Instant::now());
    let what = match (standing.holds, frozen) {
        (false, true) => "freeze everything",
        (true, true) => "freeze everything, as it is, for this reason",
        (true, false) => "lift the freeze",
        (false, false) => "lift no freeze: there is none",
    };
    let changes = standing.holds != frozen;
    let going_on = state.intent().operations().iter();
    let going_on = going_on.filter(|(_, seen)| changes && !seen.operation.status.has_ended());
    let held = going_on.map(|(id, seen)| {
        let verb = if frozen { "hold up" } else { "go on with" };
        format!("{verb} {id}, to {}", seen.operation.goal)
    });
    let said = std::iter::once(what.to_owned()).chain(held).collect();
    let also = state.cells().keys().collect();
    let ahead = Ahead { waves: &[], broken: &[], also, loss: None, etag: standing.tag };
    Ok(Preview { waves: vec![said], expected: None, ..preview(ahead, &state, &api.spec, &history) })
}

/// Freezes everything, or lifts the freeze.
pub async fn set(api: &Api, order: &Order) -> Result<Standing, Problem> {
    let state = fresh(api).await?;
    let now = Instant::now();
    let before = standing(&state, now);
    if let Some(expected) = &order.expected {
        error::matches(expected, &before.tag)?;
    }
    let since_unix_ms = clock::unix_millis();
    let freeze = Freeze {
        frozen: order.frozen,
        reason: order.reason.clone(),
        who: order.who.clone(),
        since_unix_ms,
        until_unix_ms: order.for_ms.map(|for_ms| since_unix_ms.saturating_add(for_ms)),
    };
    let revision = state.intent().last_freeze().map_or(0, |seen| seen.revision);
    let written = asked(|| api.store.replace_freeze(&freeze, revision)).await?;
    let written =
        written.ok_or_else(|| error::overtaken("somebody else has changed the freeze"))?;
    Ok(Standing {
        holds: freeze.frozen,
        said: Some(freeze),
        tag: format!("\"{}\"", written.version.0),
    })
}
