//! What a run leaves behind for people and programs: `report.json`, `report.html`, the history and
//! the events, in one folder.

mod chart;
mod html;
mod json;
mod table;

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::course::Course;
use crate::drill::Drill;
use crate::history::{Clock, events_jsonl, history_jsonl};
use crate::metrics::Metrics;
use crate::verdict::Verdict;

pub(crate) use json::json;
pub(crate) use table::table;

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
pub(crate) fn write(report: &Report<'_>, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let course = report.course;
    let history = history_jsonl(
        report.id,
        &report.clock,
        &course.users,
        &course.operations,
        &course.injections,
    );
    let json = serde_json::to_string_pretty(&json(report)).context("write the report as JSON")?;
    let files = [
        ("report.json", json),
        ("history.jsonl", history),
        ("events.jsonl", events_jsonl(&course.events)),
        ("report.html", html::page(report)),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
