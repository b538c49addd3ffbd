//! Whether the drills that are to be run by schedule can be.

use std::process::Command;

use super::programs::sibling;

/// Says what is wrong with a suite; nothing if it can be followed.
pub(super) fn problem(suite: &str) -> Option<String> {
    let chaos = match sibling("chaos") {
        Ok(chaos) => chaos,
        Err(problem) => return Some(format!("run drills by schedule: {problem}")),
    };
    let checked = match Command::new(chaos).args(["suite", "check", suite]).output() {
        Ok(checked) => checked,
        Err(err) => return Some(format!("run drills by schedule: {err}")),
    };
    let said = String::from_utf8_lossy(&checked.stderr);
    let said = said.trim().replace('\n', "\n  ");
    (!checked.status.success()).then(|| format!("run drills by schedule: {said}"))
}
