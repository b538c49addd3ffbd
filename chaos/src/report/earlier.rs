//! Earlier runs of the same drill, for the trend.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;

use super::document::Document;

/// A quarter of a year of weekly runs; a page has room for no more.
const MOST: usize = 11;

/// Returns the last runs of a drill that began before, the oldest first. A folder without a report
/// this program can read is passed over: it may be of a run that goes on, or of another version.
pub(crate) fn earlier(drills: &Path, drill: &str, before: u64) -> anyhow::Result<Vec<Document>> {
    let entries = match fs::read_dir(drills) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {}", drills.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.with_context(|| format!("list {}", drills.display()))?.path();
        // A run is named after its drill: others need not be read.
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        if !name.is_some_and(|name| name.starts_with(drill)) || !folder.is_dir() {
            continue;
        }
        let Ok(document) = super::read(&folder) else { continue };
        if document.drill == drill && document.begun_unix_ms < before {
            found.push(document);
        }
    }
    found.sort_by_key(|document| document.begun_unix_ms);
    found.drain(..found.len().saturating_sub(MOST));
    Ok(found)
}
