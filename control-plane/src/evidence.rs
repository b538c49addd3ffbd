//! What is known of a cell's active site, and what is concluded from it, as it goes over the wire: now,
//! and as it was when something was decided.

use std::collections::BTreeMap;

use runtime::clock;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;
use topology::wire::vantage::{DeepSight, Health};
use topology::{CellId, RegionId, SiteId};

use crate::decide::state::{Lately, SeenCell};
use crate::decide::verdict::matrix::Matrix;
use crate::decide::verdict::{World, gray, judge};
use crate::decide::{Policy, State};

/// A cell, judged.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CellEvidence {
    pub cell: String,
    pub epoch: u64,
    pub phase: String,
    /// Where the control plane is whose view this is.
    pub vantage: String,
    pub at_unix_ms: u64,
    pub active: Option<String>,
    pub verdict: &'static str,
    pub since_unix_ms: Option<u64>,
    /// What speaks against the active site, by kind.
    pub against: BTreeMap<&'static str, Against>,
    /// Why a cell that would be better off elsewhere is left where it is.
    pub held: Option<String>,
    /// Since when the lease has not been renewed.
    pub lease_age_ms: Option<u64>,
    pub traffic: Option<Traffic>,
    /// By region.
    pub sites: BTreeMap<String, Column>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Against {
    pub what: String,
    pub since_unix_ms: u64,
}

/// What users got in the last ten seconds, and what they usually get.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Traffic {
    pub lately: Option<Share>,
    pub usual: Option<Share>,
    /// The cell is asked for far more than usual: it is slow wherever it is.
    pub busy: bool,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Share {
    pub requests_per_second: f64,
    pub failed: f64,
    pub unreachable: f64,
    pub median_ms: f64,
}

/// A site, in the eyes of the vantages.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Column {
    /// What most of those say that count; missing while they do not agree on anything bad.
    pub agreed: Option<Agreed>,
    pub flapping: bool,
    /// By vantage, those that do not count among them.
    pub seen_from: BTreeMap<String, Sight>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Agreed {
    pub health: Health,
    pub since_unix_ms: u64,
    pub by: usize,
    pub of: usize,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Sight {
    pub health: Health,
    pub since_unix_ms: Option<u64>,
    pub deep: Option<DeepSight>,
    /// Whether the word of this vantage counts for this site.
    pub counts: bool,
}

/// Returns what is known of a cell.
#[must_use]
pub fn of_cell(
    cell: &CellId,
    seen: &SeenCell,
    state: &State,
    policy: &Policy,
    now: Instant,
) -> CellEvidence {
    let (matrix, world) = (Matrix::new(state, policy, now), World { state, policy, now });
    let judgement = judge(cell, seen, &matrix, world);
    let held = gray::held(cell, seen, &judgement, &matrix, world);
    let against = judgement.evidence.iter().map(|against| {
        let told =
            Against { what: against.what.clone(), since_unix_ms: unix_ms(against.since, now) };
        (against.kind.name(), told)
    });
    let traffic = state.traffic(cell).map(|traffic| Traffic {
        lately: traffic.lately(now).map(share),
        usual: traffic.usual().map(share),
        busy: traffic.is_busy(now),
    });
    let activation = &seen.routed.activation;
    let sites = seen.routed.gateways.keys().map(|region| {
        let site = SiteId { cell: cell.clone(), region: region.clone() };
        (region.to_string(), column(&site, state, policy, &matrix, now))
    });
    CellEvidence {
        cell: cell.to_string(),
        epoch: activation.epoch.0,
        phase: activation.phase.to_string(),
        vantage: policy.vantage.to_string(),
        at_unix_ms: clock::unix_millis(),
        active: judgement.active.as_ref().map(ToString::to_string),
        verdict: judgement.verdict.name(),
        since_unix_ms: judgement.since.map(|since| unix_ms(since, now)),
        against: against.collect(),
        held: held.map(|held| held.to_string()),
        lease_age_ms: seen.lease.as_ref().map(|lease| millis(now, lease.since)),
        traffic,
        sites: sites.collect(),
    }
}

fn column(
    site: &SiteId,
    state: &State,
    policy: &Policy,
    matrix: &Matrix<'_>,
    now: Instant,
) -> Column {
    let column = matrix.column(site);
    let agreed = column.agreed(Health::is_bad).map(|agreed| Agreed {
        health: agreed.health,
        since_unix_ms: unix_ms(agreed.since, now),
        by: agreed.by,
        of: agreed.of,
    });
    let seen_from = matrix.fresh().map(|vantage| {
        let mut sight = sight(vantage, site, state, policy, matrix, now);
        sight.counts = column.counts(vantage);
        (vantage.to_string(), sight)
    });
    let known = state.sites().get(site);
    Column {
        agreed,
        flapping: known.is_some_and(|known| known.flapping_since(now).is_some()),
        seen_from: seen_from.collect(),
    }
}

/// Returns what one vantage sees of a site.
#[must_use]
pub fn sight(
    vantage: &RegionId,
    site: &SiteId,
    state: &State,
    policy: &Policy,
    matrix: &Matrix<'_>,
    now: Instant,
) -> Sight {
    let (health, since) = matrix.sight(vantage, site);
    let deep = if *vantage == policy.vantage {
        state.sites().get(site).and_then(|seen| seen.sighted().deep)
    } else {
        let row = state.vantages().get(vantage);
        row.and_then(|row| row.sites().get(site)?.told.deep.clone())
    };
    let since_unix_ms = since.map(|since| unix_ms(since, now));
    Sight { health, since_unix_ms, deep, counts: true }
}

fn share(lately: Lately) -> Share {
    Share {
        requests_per_second: lately.requests_per_second,
        failed: lately.failed_share,
        unreachable: lately.unreachable_share,
        median_ms: lately.median_ms,
    }
}

fn millis(now: Instant, since: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}

/// Returns the wall time of a moment that is over, for people.
fn unix_ms(since: Instant, now: Instant) -> u64 {
    clock::unix_millis().saturating_sub(millis(now, since))
}
