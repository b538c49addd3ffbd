//! The programs that etcd brings for snapshots: from 3.5 on `etcdutl` restores them, before it `etcdctl` does.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use tokio::time::timeout;

const SAVES: &str = "etcdctl";
const RESTORES: [&str; 2] = ["etcdutl", "etcdctl"];
/// What a platform of three cells has in etcd are some megabytes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const WITHOUT: &str = "etcdctl is not installed; apt-get install etcd-client";

/// Returns what saves and what restores a snapshot; `None` where one of them is not installed.
pub(crate) fn found() -> Option<(&'static str, &'static str)> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let has = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    let restores = RESTORES.into_iter().find(|name| has(name))?;
    has(SAVES).then_some((SAVES, restores))
}

/// Saves a snapshot of what a member has.
pub(super) async fn save(endpoint: &str, file: &Path) -> anyhow::Result<()> {
    let (saves, _) = found().context(WITHOUT)?;
    let mut command = Command::new(saves);
    command.arg(format!("--endpoints={endpoint}")).args(["snapshot", "save"]).arg(file);
    run(command).await.with_context(|| format!("save a snapshot with {saves}"))
}

/// Makes the data of a member from a snapshot.
pub(super) async fn restore(file: &Path, flags: &[String]) -> anyhow::Result<()> {
    let (_, restores) = found().context(WITHOUT)?;
    let mut command = Command::new(restores);
    command.args(["snapshot", "restore"]).arg(file).args(flags);
    run(command).await.with_context(|| format!("restore a snapshot with {restores}"))
}

async fn run(mut command: Command) -> anyhow::Result<()> {
    // Before 3.4 it spoke another language unless it was told.
    command.env("ETCDCTL_API", "3").stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.context("wait for it")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}: {}", output.status, said.trim());
    Ok(())
}
