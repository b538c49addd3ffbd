//! One site as the map and the cell's page show it.

use super::page::Scene;
use super::texts::fill;
use super::words::{Mark, Tone, bytes};
use crate::api::view;

/// What is to be seen of a site at a glance.
pub(super) struct Square {
    pub(super) mark: Mark,
    /// How far behind, in words; empty for the active site and where nothing is known.
    pub(super) lag: String,
    /// What is the matter with its vote, if anything.
    pub(super) vote: &'static str,
    pub(super) alerts: String,
}

impl Square {
    #[must_use]
    pub(super) fn of(scene: &Scene<'_>, cell: &view::Cell, site: &view::Site) -> Self {
        let t = scene.t;
        let alerts = site.alerts.len();
        let standby = site.role == "standby" && site.reachable;
        Self {
            mark: mark(scene, cell, site),
            lag: match site.lag_bytes {
                Some(0) if standby => t.in_step.to_owned(),
                Some(lag) if standby => fill(t.behind, &[("bytes", &bytes(lag))]),
                Some(_) | None => String::new(),
            },
            vote: if standby && !site.votes { t.not_voting } else { "" },
            alerts: match alerts {
                0 => String::new(),
                count => fill(t.alerts_here, &[("count", &count.to_string())]),
            },
        }
    }
}

/// Returns what a site is doing, the worst first.
#[must_use]
pub(super) fn mark(scene: &Scene<'_>, cell: &view::Cell, site: &view::Site) -> Mark {
    let t = scene.t;
    if !site.reachable {
        return if was_heard(scene, cell, site) {
            Mark::new(Tone::Bad, t.no_answer)
        } else {
            Mark { tone: Tone::Warn, sign: "?", word: t.not_heard.to_owned() }
        };
    }
    match (site.role, cell.phase) {
        ("active", "promoting") => Mark::new(Tone::Busy, t.promoting),
        ("active", "switching") => Mark::new(Tone::Busy, t.switching),
        ("active", _) => Mark::new(Tone::Good, t.active),
        ("retired", _) => Mark::new(Tone::Calm, t.kept_out),
        (_, "electing") => Mark::new(Tone::Busy, t.electing),
        (_, "steady") if site.lag_bytes.is_none() => Mark::new(Tone::Warn, t.not_following),
        (_, _) => Mark::new(Tone::Calm, t.standby),
    }
}

fn was_heard(scene: &Scene<'_>, cell: &view::Cell, site: &view::Site) -> bool {
    let sites = scene.known.sites().iter();
    let mut same =
        sites.filter(|(id, _)| id.cell.as_str() == cell.id && id.region.as_str() == site.region);
    same.next().is_some_and(|(_, site)| site.was_heard())
}
