//! The audit log: who asked for what, and what came of it.

use askama::Template;
use runtime::Problem;
use topology::wire::audit::AuditRecord;

use super::page::Scene;
use super::texts::{Texts, fill};
use super::words::{Mark, Moment, Tone};

/// Entries shown; the API has the rest.
const SHOWN: u16 = 50;

#[derive(Template)]
#[template(path = "console/audit.html")]
pub(super) struct AuditPage<'a> {
    t: &'a Texts,
    caption: String,
    entries: Vec<Entry>,
}

struct Place {
    path: String,
    text: String,
}

struct Entry {
    id: String,
    at: Moment,
    who: String,
    what: String,
    /// What it was about, and the page about that.
    place: Option<Place>,
    why: String,
    asked_in: String,
    outcome: Mark,
    /// Whether the outcome is in the words of the API.
    is_refused: bool,
    /// What was asked and answered, as JSON.
    details: String,
}

impl<'a> AuditPage<'a> {
    /// Reads the log. It is not part of what is known: nothing is decided by it.
    pub(super) async fn read(scene: &Scene<'a>) -> Result<Self, Problem> {
        let stored = scene.console.store.audit(SHOWN).await.map_err(|err| {
            Problem::new(503, "etcd-unreachable", "etcd does not answer").detail(err.to_string())
        })?;
        let count = stored.len().to_string();
        Ok(Self {
            t: scene.t,
            caption: fill(scene.t.audit_caption, &[("count", &count)]),
            entries: stored.into_iter().map(|(id, record)| entry(scene, id, record)).collect(),
        })
    }
}

fn entry(scene: &Scene<'_>, id: String, record: AuditRecord) -> Entry {
    let details = serde_json::json!({
        "asked": record.body,
        "evidence": record.evidence,
        "outcome": record.outcome,
    });
    let vantage = scene.region_name(&record.vantage);
    Entry {
        id,
        at: Moment::at(record.at_unix_ms),
        outcome: outcome(scene, &record),
        is_refused: record.outcome.as_ref().is_some_and(|outcome| outcome.status >= 300),
        place: place(scene, &record),
        who: record.who,
        what: record.what,
        why: record.reason.unwrap_or_default(),
        asked_in: fill(scene.t.asked_in, &[("region", &vantage)]),
        details: serde_json::to_string_pretty(&details).unwrap_or_default(),
    }
}

fn place(scene: &Scene<'_>, record: &AuditRecord) -> Option<Place> {
    let cell = record
        .cell
        .as_ref()
        .filter(|cell| !cell.is_empty())
        .map(|cell| Place { path: format!("/console/cells/{cell}"), text: cell.clone() });
    let region = record.region.as_ref().map(|region| Place {
        path: format!("/console/regions/{region}"),
        text: scene.region_name(region),
    });
    let operation = record
        .operation
        .as_ref()
        .map(|operation| Place { path: "/console/operations".to_owned(), text: operation.clone() });
    cell.or(region).or(operation)
}

fn outcome(scene: &Scene<'_>, record: &AuditRecord) -> Mark {
    let t = scene.t;
    match &record.outcome {
        None => Mark::new(Tone::Busy, t.goes_on),
        Some(outcome) if outcome.status < 300 => Mark::new(Tone::Good, t.done),
        Some(outcome) => {
            let title = outcome.body["title"].as_str().unwrap_or_default();
            Mark::new(Tone::Warn, format!("{} {title}", outcome.status))
        }
    }
}
