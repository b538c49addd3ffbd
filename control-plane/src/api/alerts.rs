//! What a person should look at, of all sites and cells.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::{Problem, clock};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;
use topology::wire::key;
use topology::wire::suite::SuitePlan;

use super::call::Call;
use super::cells::known;
use super::list::List;
use super::{Api, etag, problem, view};
use crate::decide::automatic::Held;
use crate::decide::drills::{Drills, Missed};
use crate::decide::happenings::way_out;
use crate::decide::verdict::matrix::Matrix;
use crate::decide::verdict::{Verdict, World, gray, judge};
use crate::decide::{Policy, State as Known};

/// The alert of a cell that is left as it is though its active site is lost.
const FROZEN: &str = "frozen";

/// The alert of a value in etcd that this version does not understand.
const UNREAD: &str = "not-understood";
/// The alert of an active site that is alive and of little use.
const GRAY: &str = "gray-failure";
/// The alert of a site that comes and goes.
const FLAPPING: &str = "flapping";
/// The alert of a control plane that sees badly what the others see well.
const BLIND: &str = "observer-fault";

/// The alert of a platform whose drills do not pass any more.
const UNREHEARSED: &str = "no-passing-drill";

/// What a person should look at.
#[derive(Serialize, JsonSchema)]
struct Alert {
    name: String,
    /// Missing where the observer itself or the whole platform is meant.
    cell: Option<String>,
    /// Missing where the whole cell is meant.
    region: Option<String>,
    detail: String,
    /// When this control plane first saw it.
    since_unix_ms: u64,
    /// What a person can do about it here, if there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

pub(super) fn call() -> Call {
    Call::get("/v1/alerts")
        .of("records", "Lists what a person should look at.")
        .answers("Of all cells and sites", &List { data: vec![example()] })
        .etag("Changes with the content")
        .problems(&[&problem::NOTHING_KNOWN])
}

fn example() -> Alert {
    Alert {
        name: "archive-failing".to_owned(),
        cell: Some("c1".to_owned()),
        region: Some("east".to_owned()),
        detail: "no WAL was archived for 300 s".to_owned(),
        since_unix_ms: view::example::AT_UNIX_MS,
        way_out: None,
    }
}

pub(super) async fn list(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let (state, now) = (known(&api)?, Instant::now());
    let frozen = state.frozen().iter().map(|(cell, frozen)| Alert {
        name: FROZEN.to_owned(),
        cell: Some(cell.to_string()),
        region: None,
        detail: frozen.why.clone(),
        since_unix_ms: view::unix_millis(frozen.since, now),
        way_out: Some(way_out(cell)),
    });
    let of_sites = state.sites().iter().flat_map(|(id, site)| {
        site.alerts().iter().map(|(name, alert)| Alert {
            name: name.clone(),
            cell: Some(id.cell.to_string()),
            region: Some(id.region.to_string()),
            detail: alert.detail.clone(),
            since_unix_ms: view::unix_millis(alert.since, now),
            way_out: None,
        })
    });
    let policy = Policy::new(&api.spec, &api.vantage);
    let seen = of_verdicts(&state, &policy, now);
    let schedule = api.schedule.borrow().clone();
    let plan = schedule.as_ref().and_then(|known| known.followed());
    let rehearsed = of_drills(&api.drills.borrow(), plan, clock::unix_millis());
    let data =
        frozen.chain(of_sites).chain(seen).chain(rehearsed).chain(unread(&state, now)).collect();
    Ok(etag::hashed(&headers, &state, List { data }))
}

fn of_drills(drills: &Drills, plan: Option<&SuitePlan>, now_unix_ms: u64) -> Option<Alert> {
    let overdue = drills.overdue(plan, now_unix_ms)?;
    let first = match &overdue.missed {
        Missed::Any { .. } => None,
        Missed::Each(drills) => drills.first().map(|(drill, _)| drill.as_str()),
    };
    Some(Alert {
        name: UNREHEARSED.to_owned(),
        cell: None,
        region: None,
        detail: view::overdue(&overdue),
        since_unix_ms: overdue.since_unix_ms,
        way_out: Some(format!("chaos run {}", first.unwrap_or("region-loss"))),
    })
}

/// What is stored and cannot be read, and what is made of it.
fn unread(state: &Known, now: Instant) -> impl Iterator<Item = Alert> {
    state.intent().unread().iter().map(move |(key, unread)| {
        let region = key.strip_prefix(key::REGIONS);
        let stranger = key.strip_prefix(key::OPERATIONS);
        let stranger = stranger.and_then(|id| Some((id, state.intent().strangers().get(id)?)));
        let (meaning, way_out) = if key == key::FREEZE {
            ("everything is frozen meanwhile".to_owned(), Some("PUT /v1/freeze".to_owned()))
        } else if let Some(region) = region {
            let way_out = format!("POST /v1/regions/{region}/undrain");
            ("the region is drained meanwhile".to_owned(), Some(way_out))
        } else if let Some((id, stranger)) = stranger {
            let meaning = format!("it counts as going on, and no other begins about {stranger}");
            let way_out = format!(
                "POST /v1/operations/{id}/cancel at a control plane of the version that began it; if none is \
                 left, \"override\": [\"operation-not-understood\"] with a reason"
            );
            (meaning, Some(way_out))
        } else {
            ("it is left out of what is decided by".to_owned(), None)
        };
        Alert {
            name: UNREAD.to_owned(),
            cell: None,
            region: region.map(ToOwned::to_owned),
            detail: format!("{key} is not understood: {}; {meaning}", unread.why),
            since_unix_ms: view::unix_millis(unread.since, now),
            way_out,
        }
    })
}

/// What the evidence says that no site says of itself.
fn of_verdicts(state: &Known, policy: &Policy, now: Instant) -> Vec<Alert> {
    let (matrix, world) = (Matrix::new(state, policy, now), World { state, policy, now });
    let blind = matrix.blind().get(&policy.vantage).map(|regions| Alert {
        name: BLIND.to_owned(),
        cell: None,
        region: Some(policy.vantage.to_string()),
        detail: Held::Blind(regions.iter().map(ToString::to_string).collect()).to_string(),
        since_unix_ms: view::unix_millis(matrix.blind_since().unwrap_or(now), now),
        way_out: None,
    });
    let gray = state.cells().iter().filter_map(|(cell, seen)| {
        let judgement = judge(cell, seen, &matrix, world);
        let since = judgement.since.filter(|_| judgement.verdict == Verdict::Gray)?;
        let held = gray::held(cell, seen, &judgement, &matrix, world);
        let held = held.map_or_else(String::new, |held| format!("; it is left there: {held}"));
        Some(Alert {
            name: GRAY.to_owned(),
            cell: Some(cell.to_string()),
            region: judgement.active.as_ref().map(ToString::to_string),
            detail: format!("{judgement}{held}"),
            since_unix_ms: view::unix_millis(since, now),
            way_out: Some(format!("POST /v1/cells/{cell}/switchover to a site that is better")),
        })
    });
    let flapping = state.sites().iter().filter_map(|(id, site)| {
        let since = site.flapping_since(now)?;
        Some(Alert {
            name: FLAPPING.to_owned(),
            cell: Some(id.cell.to_string()),
            region: Some(id.region.to_string()),
            detail: "the site comes and goes, and is no target of automatic moves".to_owned(),
            since_unix_ms: view::unix_millis(since, now),
            way_out: None,
        })
    });
    blind.into_iter().chain(gray).chain(flapping).collect()
}
