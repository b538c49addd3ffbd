//! What a run leaves behind for people and programs: `report.json`, `report.html`, the history, the
//! events and the cells' ledger, in one folder.

mod availability;
mod columns;
mod document;
mod earlier;
mod html;
mod json;
mod points;
mod stages;
mod table;
mod tenures;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::course::Course;
use crate::drill::Drill;
use crate::history::{Clock, events_jsonl, history_jsonl};
use crate::ledger::ledger_jsonl;
use crate::metrics::Metrics;
use crate::verdict::Verdict;

pub(crate) use document::Document;
pub(crate) use earlier::earlier;
pub(crate) use html::tables::value as value_told;
pub(crate) use json::{document, exit_told, measured_told};
pub(crate) use table::table;

const REPORT: &str = "report.json";
const PAGE: &str = "report.html";
pub(crate) const HISTORY: &str = "history.jsonl";

/// A run and what it came to.
pub(crate) struct Report<'a> {
    pub(crate) id: &'a str,
    pub(crate) drill: &'a Drill,
    pub(crate) clock: Clock,
    pub(crate) course: &'a Course,
    pub(crate) metrics: &'a Metrics,
    pub(crate) verdict: &'a Verdict,
    /// The command that does it again.
    pub(crate) again: String,
}

/// Writes everything into a folder, which is made if it is not there.
pub(crate) fn write(
    report: &Report<'_>,
    folder: &Path,
    earlier: &[Document],
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let course = report.course;
    let history = history_jsonl(
        report.id,
        &report.clock,
        &course.users,
        &course.operations,
        &course.streams,
        &course.injections,
    );
    let document = document(report);
    let json = serde_json::to_string_pretty(&document).context("write the report as JSON")?;
    let page = html::page(&document, &points::of_course(course), earlier);
    let events = events_jsonl(&course.events);
    let ledger = ledger_jsonl(&course.final_state.ledger);
    let files = [
        (REPORT, json),
        (HISTORY, history),
        ("events.jsonl", events),
        ("ledger.jsonl", ledger),
        (PAGE, page),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Whether a run has left its report in this folder.
pub(crate) fn is_in(folder: &Path) -> bool {
    folder.join(REPORT).is_file()
}

/// Reads a report, from its folder or its file.
pub(crate) fn read(place: &Path) -> anyhow::Result<Document> {
    let path = if place.is_dir() { place.join(REPORT) } else { place.to_owned() };
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let schema = serde_json::from_slice::<serde_json::Value>(&text);
    let schema = schema.with_context(|| format!("understand {}", path.display()))?;
    ensure!(
        schema["schema"] == document::SCHEMA,
        "read {}: its schema is {}, this program knows {}",
        path.display(),
        schema["schema"],
        document::SCHEMA
    );
    serde_json::from_slice(&text).with_context(|| format!("understand {}", path.display()))
}

/// Makes the page of a folder anew, from what is in it; returns where it is.
pub(crate) fn page_again(folder: &Path) -> anyhow::Result<PathBuf> {
    let document = read(folder)?;
    let path = folder.join(HISTORY);
    let history = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let siblings = folder.parent().unwrap_or(folder);
    let earlier = earlier(siblings, &document.drill, document.begun_unix_ms)?;
    let page = html::page(&document, &points::of_history(&history), &earlier);
    let path = folder.join(PAGE);
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
pub(crate) mod tests;
