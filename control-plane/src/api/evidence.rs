//! What speaks for and against each site, from where, and what was decided by it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;
use topology::wire::evidence::EvidenceRecord;
use topology::wire::vantage::Health;
use topology::{RegionId, SiteId};

use super::call::Call;
use super::cells::{cell_id, known};
use super::view::example::AT_UNIX_MS;
use super::{Api, error, etag, problem, view};
use crate::decide::Policy;
use crate::decide::state::SeenVantage;
use crate::decide::verdict::Verdict;
use crate::decide::verdict::matrix::Matrix;
use crate::decision_log::Decision;
use crate::evidence::{self, Against, Agreed, CellEvidence, Column, Share, Sight, Traffic};
use crate::levers::glanced;

/// What speaks for and against a cell's active site.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Evidence")]
struct Answer {
    #[serde(flatten)]
    now: CellEvidence,
    /// What this control plane decided about the cell, the last first, as it saw it then.
    decisions: Vec<Decision>,
    /// What any control plane noticed or decided, the last first: also one that is gone, or that was cut
    /// off then. Missing while etcd does not answer.
    history: Option<Vec<EvidenceRecord>>,
}

pub(super) fn of_cell_call() -> Call {
    Call::get("/v1/cells/{id}/evidence")
        .of(
            "cells",
            "Shows what speaks for and against a cell's active site, and what was decided.",
        )
        .id("The cell")
        .answers("The evidence, as this control plane has it", &example())
        .problems(&[&problem::UNKNOWN_CELL, &problem::NOTHING_KNOWN])
}

fn example() -> Answer {
    let since_unix_ms = AT_UNIX_MS - 12_000;
    let what = "2 of 2 vantages find it slow".to_owned();
    let usual = Share { requests_per_second: 118.0, failed: 0.0, unreachable: 0.0, median_ms: 4.0 };
    let column = Column {
        agreed: Some(Agreed { health: Health::Slow, since_unix_ms, by: 2, of: 2 }),
        flapping: false,
        seen_from: ["east", "north"].map(|id| (id.to_owned(), example_sight())).into(),
    };
    let now = CellEvidence {
        cell: "c1".to_owned(),
        epoch: 9,
        phase: "steady in south".to_owned(),
        vantage: "north".to_owned(),
        at_unix_ms: AT_UNIX_MS,
        active: Some("south".to_owned()),
        verdict: Verdict::Gray.name(),
        since_unix_ms: Some(since_unix_ms),
        against: BTreeMap::from([("probes", Against { what: what.clone(), since_unix_ms })]),
        held: None,
        lease_age_ms: Some(210),
        traffic: Some(Traffic {
            lately: Some(Share { median_ms: 61.0, ..usual.clone() }),
            usual: Some(usual),
            busy: false,
        }),
        sites: BTreeMap::from([("south".to_owned(), column)]),
    };
    let seen = serde_json::to_value(&now).expect("evidence is plain JSON");
    let noted = EvidenceRecord {
        at_unix_ms: AT_UNIX_MS,
        vantage: "north".to_owned(),
        what: "gray".to_owned(),
        reason: what,
        seen,
    };
    Answer { now, decisions: Vec::new(), history: Some(vec![noted]) }
}

fn example_sight() -> Sight {
    let since_unix_ms = Some(AT_UNIX_MS - 12_000);
    Sight { health: Health::Slow, since_unix_ms, deep: None, counts: true }
}

fn example_rows() -> Rows {
    let row = Vantage {
        id: "east".to_owned(),
        age_ms: Some(840),
        sequence: Some(4711),
        fresh: true,
        blind_to: Vec::new(),
        sites: BTreeMap::from([("c1@south".to_owned(), example_sight())]),
    };
    Rows { vantage: "north".to_owned(), data: vec![row] }
}

pub(super) async fn of_cell(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (state, now) = (known(&api)?, Instant::now());
    let cell = cell_id(&id)?;
    let seen = state.cells().get(&cell).ok_or_else(|| error::unknown_cell(&id))?;
    let policy = Policy::new(&api.spec, &api.vantage);
    let now = evidence::of_cell(&cell, seen, &state, &policy, now);
    let decisions = api.decisions.about(&cell);
    // What is known without it is told.
    let history = glanced(&state, || api.store.evidence(&cell)).await.ok();
    Ok(etag::hashed(&headers, &state, Answer { now, decisions, history }))
}

/// One row of the matrix.
#[derive(Serialize, JsonSchema)]
struct Vantage {
    id: String,
    /// Since it was last heard, by this control plane's clock; 0 for itself, missing if it never was.
    age_ms: Option<u64>,
    sequence: Option<u64>,
    /// Whether its word counts: it was heard lately, and others see what it sees.
    fresh: bool,
    /// Regions that it alone sees badly: it is the observer that is ill.
    blind_to: Vec<String>,
    sites: BTreeMap<String, Sight>,
}

/// Vantages × sites.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Vantages")]
struct Rows {
    /// Where the control plane is whose view this is.
    vantage: String,
    data: Vec<Vantage>,
}

pub(super) fn vantages_call() -> Call {
    Call::get("/v1/vantages")
        .of("platform", "Lists what every region's control plane sees of every site.")
        .answers("The matrix, as this control plane has heard of it", &example_rows())
        .problems(&[&problem::NOTHING_KNOWN])
}

pub(super) async fn vantages(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (state, now) = (known(&api)?, Instant::now());
    let policy = Policy::new(&api.spec, &api.vantage);
    let matrix = Matrix::new(&state, &policy, now);
    let fresh: BTreeSet<&RegionId> = matrix.fresh().collect();
    let rows: BTreeSet<&RegionId> =
        state.vantages().keys().chain(std::iter::once(&policy.vantage)).collect();
    let rows = rows.into_iter().map(|vantage| {
        let own = *vantage == policy.vantage;
        let seen = state.vantages().get(vantage);
        let heard = if own { Some(now) } else { seen.and_then(SeenVantage::heard) };
        let blind_to = matrix.blind().get(vantage);
        let sites: Vec<&SiteId> = if own {
            state.sites().keys().collect()
        } else {
            seen.map(|seen| seen.sites().keys().collect()).unwrap_or_default()
        };
        let sites = sites.into_iter().map(|site| {
            let mut sight = evidence::sight(vantage, site, &state, &policy, &matrix, now);
            sight.counts = matrix.column(site).counts(vantage);
            (site.to_string(), sight)
        });
        Vantage {
            id: vantage.to_string(),
            age_ms: heard.map(|heard| view::millis(now.saturating_duration_since(heard))),
            sequence: seen.map(SeenVantage::sequence),
            fresh: fresh.contains(vantage),
            blind_to: blind_to
                .map(|regions| regions.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            sites: sites.collect(),
        }
    });
    let rows = Rows { vantage: api.vantage.to_string(), data: rows.collect() };
    Ok(etag::hashed(&headers, &state, rows))
}
