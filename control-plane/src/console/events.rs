//! What has happened, in sentences.

use super::page::Scene;
use super::texts::{Texts, fill};
use super::words::Moment;
use crate::decide::happenings::rehearsals;
use crate::event_log::Event;

/// One line of the list.
pub(super) struct Line {
    pub(super) id: u64,
    pub(super) at: Moment,
    pub(super) sentence: String,
    /// The page about it.
    pub(super) path: String,
    pub(super) epoch: Option<u64>,
    /// In the words of the control plane.
    pub(super) reason: String,
    pub(super) evidence: String,
}

/// Returns the last events, the newest first.
#[must_use]
pub(super) fn last(scene: &Scene<'_>, of_cell: Option<&str>, count: usize) -> Vec<Line> {
    let events = scene.console.log.after(0);
    let wanted = events
        .into_iter()
        .rev()
        .filter(|event| of_cell.is_none_or(|cell| event.cell.as_deref() == Some(cell)));
    wanted.take(count).map(|event| line(scene, event)).collect()
}

fn line(scene: &Scene<'_>, event: Event) -> Line {
    let region = event.region.as_deref().map(|region| scene.region_name(region));
    Line {
        id: event.id,
        at: Moment::at(event.at_unix_ms),
        sentence: sentence(scene.t, &event, region.as_deref()),
        path: path(&event),
        epoch: event.epoch,
        reason: event.reason,
        evidence: event.evidence,
    }
}

fn path(event: &Event) -> String {
    if rehearsals::Kind::ALL.iter().any(|kind| kind.name() == event.name) {
        return "/console/drills".to_owned();
    }
    match (&event.operation, &event.cell, &event.region) {
        (None, Some(cell), _) => format!("/console/cells/{cell}"),
        (None, None, Some(region)) => format!("/console/regions/{region}"),
        (Some(_), _, _) | (None, None, None) => "/console/operations".to_owned(),
    }
}

/// Returns what has happened in one sentence; the event's name where there is none.
#[must_use]
pub(super) fn sentence(t: &Texts, event: &Event, region: Option<&str>) -> String {
    let (cell, operation) = (event.cell.as_deref(), event.operation.as_deref());
    let text = match (event.name, cell) {
        ("lease-lost", _) => t.event_lease_lost,
        ("electing", _) => t.event_electing,
        ("promoting", _) => t.event_promoting,
        ("steady", _) => t.event_steady,
        ("switching", _) => t.event_switching,
        ("frozen", _) => t.event_frozen,
        ("at-risk", _) => t.event_at_risk,
        ("at-risk-over", _) => t.event_at_risk_over,
        ("voters", _) => t.event_voters,
        ("site-down", _) => t.event_site_down,
        ("site-up", _) => t.event_site_up,
        ("operation-begun", _) => t.event_operation_begun,
        ("operation-step", Some(_)) if region.is_none() => t.event_operation_elects,
        ("operation-step", Some(_)) => t.event_operation_moves,
        ("operation-step", None) => t.event_operation_marks,
        ("operation-waits", _) => t.event_operation_waits,
        ("operation-cancelled", _) => t.event_operation_cancelled,
        ("operation-ended", _) => t.event_operation_ended,
        ("region-drained", _) => t.event_region_drained,
        ("region-restored", _) => t.event_region_restored,
        ("freeze", _) => t.event_freeze,
        ("freeze-over", _) => t.event_freeze_over,
        ("suite-followed", _) => t.event_suite_followed,
        ("suite-let-go", _) => t.event_suite_let_go,
        ("drill-begun", _) => t.event_drill_begun,
        ("drill-ended", _) => t.event_drill_ended,
        ("drill-waits", _) => t.event_drill_waits,
        (other, _) => return format!("{}: {other}", cell.or(operation).unwrap_or("-")),
    };
    let (cell, operation) = (cell.unwrap_or("?"), operation.unwrap_or("?"));
    let region = region.unwrap_or("?");
    fill(text, &[("cell", cell), ("operation", operation), ("region", region)])
}
