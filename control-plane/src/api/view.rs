//! What the answers look like, from what is known.

pub(super) mod example;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use runtime::clock;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;
use topology::wire::agent::TenureName;
use topology::wire::cause::CauseRecord;
use topology::{CellId, Phase, RegionId};

use crate::decide::State;
use crate::decide::drills::{Missed, Overdue};
use crate::decide::happenings::way_out;
use crate::decide::redundant::{is_redundant, lag};
use crate::decide::state::SeenCell;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cell {
    pub(crate) id: String,
    pub(crate) epoch: u64,
    pub(crate) phase: &'static str,
    pub(crate) active: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) voters: Vec<String>,
    pub(crate) acks: usize,
    /// Which operation or failure began the change that led to this epoch, as far as that is known.
    pub(crate) cause: Option<CauseRecord>,
    pub(crate) reason: String,
    pub(crate) slots: usize,
    /// Steady, and every other site votes and follows the current epoch: any one region may be lost.
    pub(crate) redundant: bool,
    /// The active site serves, but the loss of its region would lose writes.
    pub(crate) at_risk: bool,
    /// Why the cell is left as it is though its active site is lost, and what a person can do.
    pub(crate) frozen: Option<Frozen>,
    pub(crate) lease: Option<Lease>,
    pub(crate) sites: Vec<Site>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Frozen {
    pub(crate) why: String,
    pub(crate) since_unix_ms: u64,
    pub(crate) way_out: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SiteAlert")]
pub(crate) struct Alert {
    pub(crate) detail: String,
    pub(crate) since_unix_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Lease {
    pub(crate) holder: String,
    pub(crate) epoch: u64,
    /// Since this control plane last saw it renewed.
    pub(crate) age_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Site {
    pub(crate) region: String,
    pub(crate) role: &'static str,
    pub(crate) tenure: Option<TenureName>,
    pub(crate) postgres: Option<String>,
    pub(crate) lsn: Option<u64>,
    /// How far behind the active site; `null` where nothing streams.
    pub(crate) lag_bytes: Option<u64>,
    /// What is left where its database writes; `null` where nobody has told.
    pub(crate) room_bytes: Option<u64>,
    pub(crate) services: BTreeMap<String, bool>,
    pub(crate) reachable: bool,
    /// Whether strong commits and elections count it.
    pub(crate) votes: bool,
    /// How often its database was rewound or copied anew, since its agent started.
    pub(crate) rebuilt: Option<u64>,
    /// What a person should look at, by name.
    pub(crate) alerts: BTreeMap<String, Alert>,
    #[schemars(with = "String")]
    pub(crate) gateway: SocketAddr,
}

/// Returns a cell as this control plane knows it.
#[must_use]
pub(crate) fn cell(state: &State, id: &CellId, seen: &SeenCell, now: Instant) -> Cell {
    let activation = &seen.routed.activation;
    let target = match &activation.phase {
        Phase::Switching { target, .. } => Some(target.to_string()),
        Phase::Steady { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => None,
    };
    let slots =
        state.placement().map_or(0, |placement| placement.shares().get(id).copied().unwrap_or(0));
    Cell {
        id: id.to_string(),
        epoch: activation.epoch.0,
        phase: phase(&activation.phase),
        active: activation.holder().map(ToString::to_string),
        target,
        voters: activation.voters.iter().map(ToString::to_string).collect(),
        acks: activation.acks,
        cause: activation.cause.as_ref().map(CauseRecord::from),
        reason: activation.reason.clone(),
        slots,
        redundant: is_redundant(state, id, seen),
        at_risk: is_at_risk(state, id, seen),
        frozen: state.frozen().get(id).map(|frozen| Frozen {
            why: frozen.why.clone(),
            since_unix_ms: unix_millis(frozen.since, now),
            way_out: way_out(id),
        }),
        lease: seen.lease.as_ref().map(|seen| Lease {
            holder: seen.lease.holder.to_string(),
            epoch: seen.lease.epoch.0,
            age_ms: millis(now - seen.since),
        }),
        sites: sites(state, id, seen, now),
    }
}

/// Returns a cell's sites, in the order of their regions' names.
#[must_use]
pub(crate) fn sites(state: &State, id: &CellId, seen: &SeenCell, now: Instant) -> Vec<Site> {
    let gateways = seen.routed.gateways.iter();
    gateways.map(|(region, gateway)| site(state, id, seen, region, *gateway, now)).collect()
}

fn site(
    state: &State,
    id: &CellId,
    seen: &SeenCell,
    region: &RegionId,
    gateway: SocketAddr,
    now: Instant,
) -> Site {
    let site = state.site(id, region);
    let report = site.report();
    let activation = &seen.routed.activation;
    let is_active = activation.holder() == Some(region);
    let lag_bytes = if is_active { Some(0) } else { lag(state, id, seen, region) };
    Site {
        region: region.to_string(),
        role: match (is_active, activation.retired.contains(region)) {
            (true, _) => "active",
            (false, false) => "standby",
            (false, true) => "retired",
        },
        tenure: report.map(|report| report.tenure),
        postgres: report.map(|report| report.postgres.clone()),
        lsn: report.map(|report| report.lsn),
        lag_bytes,
        room_bytes: report.and_then(|report| report.room).map(|room| room.left_bytes),
        services: report.map(|report| report.services.clone()).unwrap_or_default(),
        reachable: site.is_reachable(),
        votes: activation.voters.contains(region),
        rebuilt: report.map(|report| report.rebuilt),
        alerts: site
            .alerts()
            .iter()
            .map(|(name, alert)| {
                let since_unix_ms = unix_millis(alert.since, now);
                (name.clone(), Alert { detail: alert.detail.clone(), since_unix_ms })
            })
            .collect(),
        gateway,
    }
}

fn is_at_risk(state: &State, id: &CellId, seen: &SeenCell) -> bool {
    let active = seen.routed.activation.serving();
    let site = active.map(|region| state.site(id, region));
    site.is_some_and(|site| site.report().is_some_and(|report| report.at_risk))
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Steady { .. } => "steady",
        Phase::Switching { .. } => "switching",
        Phase::Electing { .. } => "electing",
        Phase::Promoting { .. } => "promoting",
    }
}

/// Says for how long no drill has passed, or which ones have not.
pub(crate) fn overdue(overdue: &Overdue) -> String {
    const NAMED: usize = 10;
    let since = |passed: Option<u64>| match passed {
        Some(passed) => format!("since {}", clock::utc(passed)),
        None => "as far as is known".to_owned(),
    };
    match &overdue.missed {
        Missed::Any { passed_unix_ms } => format!("no drill has passed {}", since(*passed_unix_ms)),
        Missed::Each(drills) => {
            let named = drills.iter().take(NAMED);
            let named: Vec<String> =
                named.map(|(drill, passed)| format!("{drill} {}", since(*passed))).collect();
            let rest = drills.len().saturating_sub(NAMED);
            let rest = if rest == 0 { String::new() } else { format!(", and {rest} more") };
            format!("not passed: {}{rest}", named.join(", "))
        }
    }
}

/// Returns the wall time of a moment that is over, for people.
pub(crate) fn unix_millis(since: Instant, now: Instant) -> u64 {
    clock::unix_millis().saturating_sub(millis(now.saturating_duration_since(since)))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
