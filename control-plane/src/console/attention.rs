//! What a person should look at, the worst first.

use std::collections::BTreeMap;

use runtime::clock;

use super::page::Scene;
use super::texts::Texts;
use super::words::{Moment, Tone};
use crate::api::view;
use crate::decide::happenings::way_out;
use topology::{CellId, Phase, RegionId};

/// One thing to look at.
pub(super) struct Item {
    pub(super) tone: Tone,
    pub(super) tone_word: &'static str,
    pub(super) what: String,
    /// Where, and the page about it.
    pub(super) place: String,
    pub(super) path: String,
    /// In the words of the process that says so.
    pub(super) detail: String,
    pub(super) since: Option<Moment>,
    pub(super) way_out: Option<String>,
}

/// Returns what there is to look at: of one cell, of one region, or of everything.
#[must_use]
pub(super) fn items(
    scene: &Scene<'_>,
    of_cell: Option<&CellId>,
    of_region: Option<&RegionId>,
) -> Vec<Item> {
    let mut items: Vec<Item> = frozen(scene)
        .chain(silent(scene))
        .chain(alerts(scene))
        .chain(moving(scene))
        .filter(|(_, cell, region)| {
            let is = of_cell.is_none_or(|wanted| cell.as_ref().is_none_or(|cell| cell == wanted));
            let here = of_region
                .is_none_or(|wanted| region.as_ref().is_none_or(|region| region == wanted));
            is && here && (of_cell.is_none() || cell.is_some() || region.is_some())
        })
        .map(|(item, ..)| item)
        .collect();
    if of_cell.is_none() && of_region.is_none() {
        items.extend(held_still(scene));
        items.extend(drained(scene));
        items.extend(routers(scene));
        items.extend(unrehearsed(scene));
    }
    items.sort_by_key(|item| item.tone);
    items
}

type Placed = (Item, Option<CellId>, Option<RegionId>);

fn frozen<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = Placed> + 'a {
    scene.known.frozen().iter().map(|(cell, frozen)| {
        let item = Item {
            what: scene.t.frozen.to_owned(),
            detail: frozen.why.clone(),
            since: Some(Moment::of(frozen.since, scene.now)),
            way_out: Some(way_out(cell)),
            ..at_cell(scene, Tone::Bad, cell)
        };
        (item, Some(cell.clone()), None)
    })
}

/// Sites that do not answer; one item for a region of which none does.
fn silent<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = Placed> + 'a {
    let mut regions: BTreeMap<&RegionId, (usize, Vec<Placed>)> = BTreeMap::new();
    for (id, site) in scene.known.sites() {
        let (all, down) = regions.entry(&id.region).or_default();
        *all += 1;
        let Some(since) = site.unreachable_since() else { continue };
        let item = Item {
            what: scene.t.site_silent.to_owned(),
            place: format!("{} · {}", id.cell, scene.region_name(id.region.as_str())),
            since: Some(Moment::of(since, scene.now)),
            ..at_cell(scene, Tone::Bad, &id.cell)
        };
        down.push((item, Some(id.cell.clone()), Some(id.region.clone())));
    }
    regions.into_iter().flat_map(|(region, (all, down))| {
        if down.len() < all || all < 2 {
            return down;
        }
        let first =
            down.into_iter().min_by_key(|(item, ..)| item.since.as_ref().map(|at| at.millis));
        let since = first.and_then(|(item, ..)| item.since);
        let item = Item {
            what: scene.t.region_silent.to_owned(),
            place: scene.region_name(region.as_str()),
            path: format!("/console/regions/{region}"),
            since,
            ..empty(scene, Tone::Bad)
        };
        vec![(item, None, Some(region.clone()))]
    })
}

fn alerts<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = Placed> + 'a {
    scene.known.sites().iter().flat_map(|(id, site)| {
        site.alerts().iter().map(|(name, alert)| {
            let item = Item {
                what: alert_name(scene.t, name).to_owned(),
                place: format!("{} · {}", id.cell, scene.region_name(id.region.as_str())),
                detail: alert.detail.clone(),
                since: Some(Moment::of(alert.since, scene.now)),
                ..at_cell(scene, Tone::Warn, &id.cell)
            };
            (item, Some(id.cell.clone()), Some(id.region.clone()))
        })
    })
}

/// Returns an alert's name for people; what is not known here is shown as it is.
fn alert_name<'a>(t: &'a Texts, name: &'a str) -> &'a str {
    match name {
        "at-risk" => t.alert_at_risk,
        "archive-failing" => t.alert_archive_failing,
        "archive-gap" => t.alert_archive_gap,
        "backup-missing" => t.alert_backup_missing,
        "disk-full" => t.alert_disk_full,
        "voters-lag" => t.alert_voters_lag,
        "lost-writes-not-kept" => t.alert_lost_writes_not_kept,
        other => other,
    }
}

fn moving<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = Placed> + 'a {
    let moving = scene.known.cells().iter().filter(|(cell, seen)| {
        !matches!(seen.routed.activation.phase, Phase::Steady { .. })
            && !scene.known.frozen().contains_key(*cell)
    });
    moving.map(|(cell, seen)| {
        let item = Item {
            what: scene.t.moving.to_owned(),
            detail: seen.routed.activation.to_string(),
            since: Some(Moment::of(seen.since, scene.now)),
            ..at_cell(scene, Tone::Busy, cell)
        };
        (item, Some(cell.clone()), None)
    })
}

/// What people have set, and may have forgotten.
fn held_still(scene: &Scene<'_>) -> Option<Item> {
    let freeze = scene.known.intent().freeze(scene.now)?;
    Some(Item {
        what: scene.t.platform_frozen.to_owned(),
        place: scene.t.operations.to_owned(),
        path: "/console/operations".to_owned(),
        detail: format!("{}: {}", freeze.who, freeze.reason),
        since: Some(Moment::at(freeze.since_unix_ms)),
        ..empty(scene, Tone::Warn)
    })
}

fn drained<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = Item> + 'a {
    scene.known.intent().drained().iter().map(|region| Item {
        what: scene.t.region_drained_short.to_owned(),
        place: scene.region_name(region.as_str()),
        path: format!("/console/regions/{region}"),
        ..empty(scene, Tone::Busy)
    })
}

fn routers<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = Item> + 'a {
    let stale = scene.known.routers().iter().filter(|(_, report)| report.stale);
    stale.map(|(id, _)| Item {
        what: scene.t.router_stale.to_owned(),
        place: format!("{} {id}", scene.t.router),
        path: "/console#routers".to_owned(),
        ..empty(scene, Tone::Warn)
    })
}

fn unrehearsed(scene: &Scene<'_>) -> Option<Item> {
    let schedule = scene.console.schedule.borrow().clone();
    let plan = schedule.as_ref().and_then(|known| known.followed());
    let overdue = scene.console.drills.borrow().overdue(plan, clock::unix_millis())?;
    Some(Item {
        what: scene.t.alert_no_passing_drill.to_owned(),
        place: scene.t.drills.to_owned(),
        path: "/console/drills".to_owned(),
        detail: view::overdue(&overdue),
        since: Some(Moment::at(overdue.since_unix_ms)),
        ..empty(scene, Tone::Warn)
    })
}

fn at_cell(scene: &Scene<'_>, tone: Tone, cell: &CellId) -> Item {
    Item { place: cell.to_string(), path: format!("/console/cells/{cell}"), ..empty(scene, tone) }
}

fn empty(scene: &Scene<'_>, tone: Tone) -> Item {
    Item {
        tone,
        tone_word: tone.word(scene.t),
        what: String::new(),
        place: String::new(),
        path: String::new(),
        detail: String::new(),
        since: None,
        way_out: None,
    }
}
