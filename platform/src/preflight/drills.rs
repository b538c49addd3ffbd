//! Whether the drills that are to be run by schedule can be.

use std::process::Command;

use runtime::program;

use super::programs::sibling;

/// Says what is wrong with a suite; nothing if it can be followed.
pub(super) fn problem(suite: &str) -> Option<String> {
    let chaos = match sibling("chaos") {
        Ok(chaos) => chaos,
        Err(problem) => return Some(format!("run drills by schedule: {problem}")),
    };
    let mut check = Command::new(chaos);
    check.args(["suite", "check", suite]);
    let why = format!("{:#}", program::run(check, "").err()?);
    Some(format!("run drills by schedule: {}", why.replace('\n', "\n  ")))
}
