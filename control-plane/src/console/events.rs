//! What has happened, in sentences.

use super::page::Scene;
use super::texts::{Texts, fill};
use super::words::Moment;
use crate::event_log::Event;

/// One line of the list.
pub(super) struct Line {
    pub(super) id: u64,
    pub(super) at: Moment,
    pub(super) sentence: String,
    pub(super) cell: String,
    pub(super) epoch: u64,
    /// In the words of the control plane.
    pub(super) reason: String,
    pub(super) evidence: String,
}

/// Returns the last events, the newest first.
#[must_use]
pub(super) fn last(scene: &Scene<'_>, of_cell: Option<&str>, count: usize) -> Vec<Line> {
    let events = scene.console.log.after(0);
    let wanted =
        events.into_iter().rev().filter(|event| of_cell.is_none_or(|cell| event.cell == cell));
    wanted.take(count).map(|event| line(scene, event)).collect()
}

fn line(scene: &Scene<'_>, event: Event) -> Line {
    let region = event.region.as_deref().map(|region| scene.region_name(region));
    Line {
        id: event.id,
        at: Moment::at(event.at_unix_ms),
        sentence: sentence(scene.t, &event, region.as_deref()),
        cell: event.cell,
        epoch: event.epoch,
        reason: event.reason,
        evidence: event.evidence,
    }
}

/// Returns what has happened in one sentence; the event's name where there is none.
#[must_use]
pub(super) fn sentence(t: &Texts, event: &Event, region: Option<&str>) -> String {
    let text = match event.name {
        "lease-lost" => t.event_lease_lost,
        "electing" => t.event_electing,
        "promoting" => t.event_promoting,
        "steady" => t.event_steady,
        "switching" => t.event_switching,
        "frozen" => t.event_frozen,
        "at-risk" => t.event_at_risk,
        "at-risk-over" => t.event_at_risk_over,
        "voters" => t.event_voters,
        "site-down" => t.event_site_down,
        "site-up" => t.event_site_up,
        other => return format!("{}: {other}", event.cell),
    };
    fill(text, &[("cell", &event.cell), ("region", region.unwrap_or("?"))])
}
