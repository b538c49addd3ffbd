//! The map: every cell in every region, and what needs attention.

use askama::Template;
use topology::{CellId, Version};

use super::attention::{self, Item};
use super::events::{self, Line};
use super::page::Scene;
use super::site::Square;
use super::texts::{Texts, fill};
use super::words::{Mark, Moment, Tone, grouped, percent};
use crate::api::view;

/// Events on this page: what fits beside the map.
const EVENTS: usize = 12;

#[derive(Template)]
#[template(path = "console/overview.html")]
pub(super) struct Overview<'a> {
    t: &'a Texts,
    unread_since: Option<Moment>,
    counts: Vec<Count>,
    attention: Vec<Item>,
    regions: Vec<Column>,
    rows: Vec<Row>,
    routers: Vec<RouterRow>,
    events: Vec<Line>,
}

/// How many of how many are as they should be.
struct Count {
    what: &'static str,
    good: usize,
    all: usize,
    how: &'static str,
}

struct Column {
    id: String,
    name: String,
}

struct Row {
    id: String,
    epoch: String,
    share: String,
    phase: Option<Mark>,
    traffic: Traffic,
    /// One per region; nothing where the cell has no site.
    squares: Vec<Option<Square>>,
}

struct RouterRow {
    id: String,
    version: String,
    state: Mark,
    held: String,
}

impl<'a> Overview<'a> {
    #[must_use]
    pub(super) fn of(scene: &Scene<'a>) -> Self {
        let (t, known) = (scene.t, scene.known);
        let regions: Vec<Column> = scene
            .console
            .spec
            .regions
            .iter()
            .map(|region| Column { id: region.id.to_string(), name: region.name.clone() })
            .collect();
        let cells: Vec<view::Cell> =
            known.cells().iter().map(|(id, seen)| view::cell(known, id, seen, scene.now)).collect();
        Self {
            t,
            unread_since: unread_since(scene),
            counts: counts(scene, &cells),
            attention: attention::items(scene, None, None),
            rows: cells.iter().map(|cell| row(scene, cell, &regions)).collect(),
            regions,
            routers: routers(scene),
            events: events::last(scene, None, EVENTS),
        }
    }
}

/// Returns since when etcd has not been read, if it should have been.
#[must_use]
pub(super) fn unread_since(scene: &Scene<'_>) -> Option<Moment> {
    let read_at = scene.known.read_at()?;
    (!scene.known.is_fresh(scene.now)).then(|| Moment::of(read_at, scene.now))
}

fn counts(scene: &Scene<'_>, cells: &[view::Cell]) -> Vec<Count> {
    let t = scene.t;
    let sites: Vec<bool> =
        cells.iter().flat_map(|cell| cell.sites.iter().map(|site| site.reachable)).collect();
    let routers = scene.known.routers();
    vec![
        Count {
            what: t.cells,
            good: cells.iter().filter(|cell| cell.phase == "steady").count(),
            all: cells.len(),
            how: t.steady,
        },
        Count {
            what: t.sites,
            good: sites.iter().filter(|answers| **answers).count(),
            all: sites.len(),
            how: t.answering,
        },
        Count {
            what: t.routers,
            good: routers.values().filter(|report| !report.stale).count(),
            all: routers.len(),
            how: t.up_to_date,
        },
    ]
}

fn row(scene: &Scene<'_>, cell: &view::Cell, regions: &[Column]) -> Row {
    let t = scene.t;
    let phase = match (cell.phase, &cell.frozen) {
        (_, Some(_)) => Some(Mark::new(Tone::Bad, t.frozen_short)),
        ("steady", None) => None,
        (phase, None) => Some(Mark::new(Tone::Busy, phase_word(t, phase))),
    };
    let squares = regions.iter().map(|region| {
        let site = cell.sites.iter().find(|site| site.region == region.id)?;
        Some(Square::of(scene, cell, site))
    });
    Row {
        id: cell.id.clone(),
        epoch: fill(t.epoch_of, &[("epoch", &cell.epoch.to_string())]),
        share: fill(t.share, &[("percent", &percent(cell.slots))]),
        phase,
        traffic: traffic(scene, &cell.id),
        squares: squares.collect(),
    }
}

/// What a cell's users have got in the last seconds.
struct Traffic {
    rate: String,
    /// How many fail, and how long the others take.
    mark: Option<Mark>,
    median: String,
}

fn traffic(scene: &Scene<'_>, cell: &str) -> Traffic {
    let t = scene.t;
    let seen = cell.parse().ok().and_then(|cell: CellId| scene.known.traffic(&cell));
    let Some(lately) = seen.and_then(|seen| seen.lately(scene.now)) else {
        return Traffic { rate: t.traffic_little.to_owned(), mark: None, median: String::new() };
    };
    let failed = (lately.failed_share + lately.unreachable_share) * 100.0;
    let tone = match failed {
        failed if failed >= 20.0 => Tone::Bad,
        failed if failed >= 0.1 => Tone::Warn,
        _ => Tone::Good,
    };
    let rate = format!("{:.0}", lately.requests_per_second);
    let (failed, median) = (format!("{failed:.1}"), format!("{:.0}", lately.median_ms));
    Traffic {
        rate: fill(t.traffic_rate, &[("rate", &rate)]),
        mark: Some(Mark::new(tone, fill(t.traffic_failed, &[("percent", &failed)]))),
        median: fill(t.traffic_median, &[("millis", &median)]),
    }
}

/// Returns a phase in the reader's language.
#[must_use]
pub(super) fn phase_word(t: &Texts, phase: &str) -> &'static str {
    match phase {
        "switching" => t.switching,
        "electing" => t.electing,
        "promoting" => t.promoting,
        _ => t.steady,
    }
}

fn routers(scene: &Scene<'_>) -> Vec<RouterRow> {
    let t = scene.t;
    let routers = scene.known.routers().iter().map(|(id, report)| RouterRow {
        id: id.clone(),
        version: Version(report.version).to_string(),
        state: if report.stale {
            Mark::new(Tone::Warn, t.stale)
        } else {
            Mark::new(Tone::Good, t.follows)
        },
        held: grouped(report.held),
    });
    routers.collect()
}
