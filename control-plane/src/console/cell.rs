//! One cell: who is active, who votes, what is the matter, and what can be moved.

use std::time::Duration;

use askama::Template;
use topology::CellId;

use super::attention::{self, Item};
use super::events::{self, Line};
use super::overview::{phase_word, unread_since};
use super::page::Scene;
use super::site;
use super::texts::{Texts, fill};
use super::words::{Mark, Moment, Tone, bytes, duration, grouped, percent};
use crate::api::view;

/// Events on this page: a day in an ordinary life.
const EVENTS: usize = 30;

#[derive(Template)]
#[template(path = "console/cell.html")]
pub(super) struct CellPage<'a> {
    t: &'a Texts,
    unread_since: Option<Moment>,
    id: String,
    phase: Mark,
    epoch: String,
    slots: String,
    share: String,
    lease: String,
    voters: String,
    acks: String,
    redundancy: Mark,
    last_change: String,
    /// The operation that led to this epoch, if one did.
    operation: Option<String>,
    attention: Vec<Item>,
    sites: Vec<SiteRow>,
    may_operate: bool,
    levers: Vec<Lever>,
    site_levers: Vec<Lever>,
    events: Vec<Line>,
}

struct SiteRow {
    region: String,
    name: String,
    mark: Mark,
    lag: String,
    position: String,
    /// In the words of its agent, if it says anything.
    database: Option<String>,
    services: String,
    /// Which do not answer; empty if all do.
    services_down: String,
    votes: &'static str,
}

/// Where something is looked at that can be done.
struct Lever {
    id: String,
    path: String,
    text: String,
}

impl<'a> CellPage<'a> {
    /// Returns nothing where there is no such cell.
    #[must_use]
    pub(super) fn of(scene: &Scene<'a>, id: &CellId) -> Option<Self> {
        let (t, known) = (scene.t, scene.known);
        let cell = view::cell(known, id, known.cells().get(id)?, scene.now);
        let voters: Vec<String> =
            cell.voters.iter().map(|region| scene.region_name(region)).collect();
        Some(Self {
            t,
            unread_since: unread_since(scene),
            phase: phase(t, &cell),
            epoch: grouped(cell.epoch),
            slots: fill(t.slots_of, &[("slots", &grouped(cell.slots as u64))]),
            share: fill(t.share, &[("percent", &percent(cell.slots))]),
            lease: lease(scene, &cell),
            voters: voters.join(", "),
            acks: fill(t.acks_needed, &[("acks", &cell.acks.to_string())]),
            redundancy: if cell.redundant {
                Mark::new(Tone::Good, t.redundant)
            } else {
                Mark::new(Tone::Warn, t.not_redundant)
            },
            last_change: cell.reason.clone(),
            operation: cell.cause.as_ref().and_then(|cause| cause.operation.clone()),
            attention: attention::items(scene, Some(id), None),
            sites: cell.sites.iter().map(|site| row(scene, &cell, site)).collect(),
            may_operate: scene.may_operate,
            levers: levers(scene, &cell),
            site_levers: site_levers(scene, &cell),
            events: events::last(scene, Some(id.as_str()), EVENTS),
            id: cell.id,
        })
    }
}

fn phase(t: &Texts, cell: &view::Cell) -> Mark {
    match (cell.phase, &cell.frozen) {
        (_, Some(_)) => Mark::new(Tone::Bad, t.frozen_short),
        ("steady", None) => Mark::new(Tone::Good, t.steady),
        (phase, None) => Mark::new(Tone::Busy, phase_word(t, phase)),
    }
}

fn lease(scene: &Scene<'_>, cell: &view::Cell) -> String {
    let Some(lease) = &cell.lease else { return scene.t.no_lease.to_owned() };
    let policy = scene.console.spec.lease;
    let age = Duration::from_millis(lease.age_ms);
    let holder = scene.region_name(&lease.holder);
    // An age within the right changes many times a second and tells nothing.
    if age <= policy.right {
        return fill(scene.t.lease_fresh, &[("region", &holder)]);
    }
    fill(scene.t.lease_of, &[("region", &holder), ("age", &duration(age))])
}

fn row(scene: &Scene<'_>, cell: &view::Cell, site: &view::Site) -> SiteRow {
    let t = scene.t;
    let down: Vec<&str> =
        site.services.iter().filter(|(_, up)| !**up).map(|(name, _)| name.as_str()).collect();
    let up = site.services.len() - down.len();
    SiteRow {
        region: site.region.clone(),
        mark: site::mark(scene, cell, site),
        lag: match (site.role, site.lag_bytes) {
            ("active", _) => "–".to_owned(),
            (_, Some(0)) => t.in_step.to_owned(),
            (_, Some(lag)) => bytes(lag),
            (_, None) => t.unknown.to_owned(),
        },
        position: site.lsn.map_or_else(|| t.unknown.to_owned(), position),
        database: site.postgres.clone(),
        services: fill(
            t.services_up,
            &[("up", &up.to_string()), ("all", &site.services.len().to_string())],
        ),
        services_down: if down.is_empty() {
            String::new()
        } else {
            fill(t.services_down, &[("names", &down.join(", "))])
        },
        votes: match (site.role, site.votes) {
            ("active", _) => "–",
            (_, true) => t.yes,
            (_, false) => t.no,
        },
        name: scene.region_name(&site.region),
    }
}

/// A cell that is being moved already is moved nowhere else, and none to a site that is kept out.
fn levers(scene: &Scene<'_>, cell: &view::Cell) -> Vec<Lever> {
    let failover = is_lost(cell).then(|| Lever {
        path: format!("/console/cells/{}/failover", cell.id),
        text: scene.t.failover.to_owned(),
        id: "failover".to_owned(),
    });
    let standbys =
        cell.sites.iter().filter(|site| site.role == "standby" && cell.phase == "steady");
    let levers = standbys.map(|site| Lever {
        path: format!("/console/cells/{}/switchover?to={}", cell.id, site.region),
        text: fill(scene.t.move_to, &[("region", &scene.region_name(&site.region))]),
        id: format!("move-{}", site.region),
    });
    failover.into_iter().chain(levers).collect()
}

/// Whether there is something that a failover could end: nobody serves, or whoever should does not answer.
fn is_lost(cell: &view::Cell) -> bool {
    let active = cell.sites.iter().find(|site| site.role == "active");
    cell.frozen.is_some()
        || cell.phase == "electing"
        || cell.phase != "switching" && active.is_none_or(|site| !site.reachable)
}

/// Each standby can be kept out, and let in again.
fn site_levers(scene: &Scene<'_>, cell: &view::Cell) -> Vec<Lever> {
    let levers = cell.sites.iter().filter_map(|site| {
        let (verb, text) = match site.role {
            "standby" => ("retire", scene.t.retire),
            "retired" => ("add", scene.t.add),
            _ => return None,
        };
        Some(Lever {
            path: format!("/console/cells/{}/sites/{}/{verb}", cell.id, site.region),
            text: fill(text, &[("region", &scene.region_name(&site.region))]),
            id: format!("{verb}-{}", site.region),
        })
    });
    levers.collect()
}

/// Writes a position in the write-ahead log as PostgreSQL does.
fn position(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}
