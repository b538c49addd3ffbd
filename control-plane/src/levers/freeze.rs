//! The global freeze: nothing is moved, neither by plan nor by itself.

use std::collections::BTreeMap;

use runtime::{Problem, clock};
use tokio::time::Instant;
use topology::{CellId, Spec};

use super::history::History;
use super::preview::{Ahead, FreezeAhead, Preview, preview};
use super::{asked, fresh};
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

/// Returns what that would come to.
pub async fn ahead(api: &Api, frozen: bool) -> Result<Preview, Problem> {
    let state = fresh(api).await?;
    Ok(coming(frozen, &state, &api.spec, Instant::now()))
}

/// Nobody is moved, and what is free stays so. Where none holds, before or after, nothing waits for it.
fn coming(frozen: bool, state: &State, spec: &Spec, now: Instant) -> Preview {
    let Standing { holds, tag: etag, .. } = standing(state, now);
    let is_about_one = holds || frozen;
    let lost: Vec<&CellId> = state.frozen().keys().filter(|_| is_about_one).collect();
    let held = state
        .intent()
        .operations()
        .iter()
        .filter(|(_, seen)| is_about_one && seen.operation.is_held_by_a_freeze(state));
    let of_freeze = FreezeAhead {
        holds,
        lost: lost.iter().map(ToString::to_string).collect(),
        operations: held.clone().map(|(id, _)| id.clone()).collect(),
    };
    let (what, verb) = match (holds, frozen) {
        (false, true) => ("freeze everything", Some("hold up")),
        (true, true) => ("freeze everything, as it is, for this reason", None),
        (true, false) => ("lift the freeze", Some("go on with")),
        (false, false) => ("lift no freeze: there is none", None),
    };
    let changed = verb.into_iter().flat_map(|verb| {
        held.clone().map(move |(id, seen)| format!("{verb} {id}, to {}", seen.operation.goal))
    });
    let said = std::iter::once(what.to_owned()).chain(changed).collect();
    let ahead = Ahead { waves: &[], broken: &[], also: lost, loss: None, etag };
    Preview {
        waves: vec![said],
        freeze: Some(of_freeze),
        headroom: BTreeMap::new(),
        ..preview(ahead, state, spec, &History::default())
    }
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

#[cfg(test)]
mod tests {
    use topology::{Placement, Version};

    use super::*;
    use crate::decide::Fact;
    use crate::levers::preview::BlastRadius;
    use crate::store::{Kept, Reading};

    const SPEC: &str = "
version: 1
regions:
  - {id: east, name: East, network: 127.10.0.0/16}
  - {id: north, name: North, network: 127.20.0.0/16}
  - {id: south, name: South, network: 127.30.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: \"127.0.0.2:8080\", admin: \"127.0.0.2:9080\", routers: 1}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";

    #[test]
    fn a_freeze_concerns_nobody_but_those_whose_active_site_is_lost() {
        for (holds, frozen, is_lost, is_concerned) in [
            (false, true, false, false),
            (false, true, true, true),
            (true, true, true, true),
            (true, false, false, false),
            (true, false, true, true),
            (false, false, true, false),
        ] {
            let spec = Spec::parse(SPEC).unwrap();
            let now = Instant::now();
            let ahead = coming(frozen, &state(&spec, holds, is_lost, now), &spec, now);
            let cells = if is_concerned { vec!["c1".to_owned()] } else { Vec::new() };
            let slots = if is_concerned { 16_384 } else { 0 };
            let told = FreezeAhead { holds, lost: cells.clone(), operations: Vec::new() };
            let asked = format!("{holds} to {frozen}, lost: {is_lost}");
            assert_eq!(ahead.freeze, Some(told), "{asked}");
            let radius = BlastRadius { cells, slots, of_slots: 16_384 };
            assert_eq!(ahead.blast_radius, radius, "{asked}");
            assert!(ahead.allowed && ahead.moves.is_empty(), "{asked}");
        }
    }

    fn state(spec: &Spec, holds: bool, is_lost: bool, now: Instant) -> State {
        let freeze = Freeze {
            frozen: true,
            reason: "we are looking".to_owned(),
            who: "ada".to_owned(),
            since_unix_ms: 1,
            until_unix_ms: None,
        };
        let reading = Reading {
            placement: Some(Placement::plan(&spec.weights(), Version(1))),
            freeze: holds.then(|| Kept::at(2, freeze)),
            ..Reading::default()
        };
        let mut state = State::default();
        state.saw(Fact::Read(reading), now);
        if is_lost {
            let cell = "c1".parse().unwrap();
            state.saw(Fact::Frozen { cell, why: "nobody can take over".to_owned() }, now);
        }
        state
    }
}
