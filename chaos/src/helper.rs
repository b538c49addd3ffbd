//! Processes that a drill starts because a fault has to go on being done: this program again, under a
//! label that begins as everything of drills does, and for no longer than the fault's time.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::{Child, Command};

use crate::filter;
use crate::process::Process;
use crate::undo::labels_of;

/// Starts a helper; its end is in the journal before.
pub(crate) fn start(
    namespace: Option<&Path>,
    label: &str,
    words: &[String],
    ttl: Duration,
) -> anyhow::Result<Child> {
    // Even if its file has been replaced meanwhile, and for whoever becomes it.
    let program = format!("/proc/{}/exe", std::process::id());
    let mut command = Command::from(filter::command(namespace, &program));
    command
        .arg("helper")
        .args(["--label", label, "--ttl-ms", &ttl.as_millis().to_string()])
        .args(words)
        // Ctrl-C is meant for the drill.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.spawn().with_context(|| format!("start the helper {label}"))
}

/// Returns the helpers of drills on a platform that run, with their labels.
pub(crate) fn of_drills(run_dir: &Path) -> Vec<(Process, String)> {
    let prefix = labels_of(run_dir);
    let all = runtime::process::all().into_iter().map(|living| living.process);
    let label = |process: &Process| {
        let words = process.arguments();
        let at = words.iter().position(|word| word == "--label")?;
        words.get(at + 1).filter(|label| label.starts_with(&prefix)).cloned()
    };
    all.filter_map(|process| Some((process, label(&process)?))).collect()
}
