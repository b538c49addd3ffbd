//! What speaks for and against each site, from where, and what was decided by it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, timeout};
use topology::wire::evidence::EvidenceRecord;
use topology::{RegionId, SiteId};

use super::call::Call;
use super::cells::{cell_id, known};
use super::{Api, error, etag, problem, view};
use crate::decide::Policy;
use crate::decide::state::SeenVantage;
use crate::decide::verdict::matrix::Matrix;
use crate::decision_log::Decision;
use crate::evidence::{self, CellEvidence, Sight};

/// How long etcd may take for what is past.
const LOOK: Duration = Duration::from_millis(500);

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
        .answers::<Answer>("The evidence, as this control plane has it")
        .problems(&[&problem::UNKNOWN_CELL, &problem::NOTHING_KNOWN])
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
    let history = timeout(LOOK, api.store.evidence(&cell)).await.ok().and_then(Result::ok);
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
        .answers::<Rows>("The matrix, as this control plane has heard of it")
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
