//! Public data sets, read where they are at hand, and numbers for people.

use std::path::PathBuf;

/// Returns the lines of a file of the data folder, or says that the test is skipped.
pub(crate) fn lines(file: &str) -> Option<Vec<String>> {
    let folder = std::env::var_os("BULKHEAD_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(file);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(text.lines().map(str::to_owned).collect());
    }
    say(&format!("skipped: no {}; BULKHEAD_DATA names the folder with the data", path.display()));
    None
}

#[expect(clippy::print_stderr, reason = "measured numbers are for people to read")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::cast_precision_loss, reason = "counts of texts are small")]
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
