//! Starts the platform anew before a drill.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use runtime::fake_clock::FOLDER;
use tokio::process::Command;

use crate::programs;

/// Stops the platform, if it runs, and starts it without the data of earlier runs, in the same
/// world as before.
pub(crate) async fn restart(run_dir: &Path) -> anyhow::Result<()> {
    platform(run_dir, &["down"]).await?;
    let mut up = vec!["up", "--detach", "--fresh"];
    if run_dir.join(FOLDER).exists() {
        up.push("--clocks");
    }
    // The platform's own copy is deleted with the data.
    let applied = run_dir.join("spec.yaml");
    if applied.exists() {
        let drills = run_dir.join("drills");
        fs::create_dir_all(&drills).with_context(|| format!("make {}", drills.display()))?;
        let kept = drills.join("spec.yaml");
        fs::copy(&applied, &kept).with_context(|| format!("copy {}", applied.display()))?;
        let kept = kept.to_string_lossy().into_owned();
        up.extend(["--spec", &kept]);
        platform(run_dir, &up).await
    } else {
        platform(run_dir, &up).await
    }
}

/// Runs the platform's program, which is beside this one. What it says goes to standard error:
/// standard output belongs to the report.
async fn platform(run_dir: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let program = programs::platform()?;
    let status = Command::new(&program)
        .args(arguments)
        .arg("--run-dir")
        .arg(run_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .await
        .with_context(|| format!("run {}", program.display()))?;
    ensure!(status.success(), "run {} {}: {status}", program.display(), arguments.join(" "));
    Ok(())
}
