//! One region: which cells have a site there, and how those are.

use askama::Template;
use topology::RegionId;
use topology::address::Port;

use super::attention::{self, Item};
use super::overview::unread_since;
use super::page::Scene;
use super::site::Square;
use super::texts::{Texts, fill};
use super::words::{Mark, Moment, Tone};
use crate::api::view;

#[derive(Template)]
#[template(path = "console/region.html")]
pub(super) struct RegionPage<'a> {
    t: &'a Texts,
    unread_since: Option<Moment>,
    id: String,
    name: String,
    network: String,
    control_plane: String,
    active_here: String,
    attention: Vec<Item>,
    may_operate: bool,
    drained: bool,
    rows: Vec<Row>,
}

struct Row {
    cell: String,
    square: Square,
    /// Where the cell is active.
    active: Mark,
}

impl<'a> RegionPage<'a> {
    /// Returns nothing where there is no such region.
    #[must_use]
    pub(super) fn of(scene: &Scene<'a>, id: &RegionId) -> Option<Self> {
        let (t, known) = (scene.t, scene.known);
        let spec = &scene.console.spec;
        let region = spec.region(id)?;
        let cells: Vec<view::Cell> =
            known.cells().iter().map(|(id, seen)| view::cell(known, id, seen, scene.now)).collect();
        let here = |cell: &&view::Cell| cell.active.as_deref() == Some(id.as_str());
        let (active, all) = (cells.iter().filter(here).count(), cells.len());
        let rows = cells.iter().filter_map(|cell| {
            let site = cell.sites.iter().find(|site| site.region == id.as_str())?;
            Some(Row {
                cell: cell.id.clone(),
                square: Square::of(scene, cell, site),
                active: where_active(scene, cell, id),
            })
        });
        let address = spec.region_address(id, Port::ControlPlane);
        Some(Self {
            t,
            unread_since: unread_since(scene),
            id: id.to_string(),
            name: region.name.clone(),
            network: region.network.to_string(),
            control_plane: address.map_or_else(String::new, |address| address.to_string()),
            active_here: format!("{active} / {all}"),
            attention: attention::items(scene, None, Some(id)),
            may_operate: scene.may_operate,
            drained: known.intent().drained().contains(id),
            rows: rows.collect(),
        })
    }
}

fn where_active(scene: &Scene<'_>, cell: &view::Cell, here: &RegionId) -> Mark {
    let t = scene.t;
    match cell.active.as_deref() {
        Some(region) if region == here.as_str() => Mark::new(Tone::Good, t.active_here),
        Some(region) => {
            let name = scene.region_name(region);
            Mark::new(Tone::Calm, fill(t.active_elsewhere, &[("region", &name)]))
        }
        None => Mark::new(Tone::Bad, t.active_nowhere),
    }
}
