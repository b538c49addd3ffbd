//! The programs that etcd brings for snapshots: from 3.5 on `etcdutl` restores them, before it `etcdctl` does.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use crate::programs::is_on_path;

const SAVES: &str = "etcdctl";
const RESTORES: [&str; 2] = ["etcdutl", "etcdctl"];
/// How the names of the variables begin by which it is told what flags tell it, too.
const VARIABLES: &str = "ETCDCTL_";
/// What a platform of three cells has in etcd are some megabytes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const WITHOUT: &str = "etcdctl is not installed; apt-get install etcd-client";

/// Returns what saves and what restores a snapshot; `None` where one of them is not installed.
pub(crate) fn found() -> Option<(&'static str, &'static str)> {
    let restores = RESTORES.into_iter().find(|name| is_on_path(name))?;
    is_on_path(SAVES).then_some((SAVES, restores))
}

/// Saves a snapshot of what a member has.
pub(super) async fn save(endpoint: &str, file: &Path) -> anyhow::Result<()> {
    let (saves, _) = found().context(WITHOUT)?;
    let mut command = Command::new(saves);
    command.arg(format!("--endpoints={endpoint}")).args(["snapshot", "save"]).arg(file);
    let told = || format!("save a snapshot of {endpoint} to {} with {saves}", file.display());
    run(command, PATIENCE).await.with_context(told)
}

/// Makes the data of a member from a snapshot.
pub(super) async fn restore(file: &Path, flags: &[String]) -> anyhow::Result<()> {
    let (_, restores) = found().context(WITHOUT)?;
    let mut command = Command::new(restores);
    command.args(["snapshot", "restore"]).arg(file).args(flags);
    let told = || format!("restore the snapshot {} with {restores}", file.display());
    run(command, PATIENCE).await.with_context(told)
}

async fn run(mut command: Command, patience: Duration) -> anyhow::Result<()> {
    // They refuse flags that whoever began the drill has set for himself, for another etcd.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_theirs(name)) {
        command.env_remove(name);
    }
    // Before 3.4 it spoke another language unless it was told.
    command.env("ETCDCTL_API", "3").stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(patience, command.output()).await;
    let ended = ended.with_context(|| format!("see it end within {patience:?}"))?;
    let output = ended.context("start it")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}: {}", output.status, said.trim());
    Ok(())
}

fn is_theirs(variable: &OsStr) -> bool {
    variable.to_string_lossy().starts_with(VARIABLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run_shell(script: &str, patience: Duration) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, patience).await.map_or_else(|err| format!("{err:#}"), |()| "done".to_owned())
    }

    #[tokio::test]
    async fn one_that_fails_is_told_with_what_it_said_and_one_that_hangs_is_not_waited_for() {
        assert_eq!(run_shell("test $ETCDCTL_API = 3", PATIENCE).await, "done");
        let damaged = run_shell("echo expected sha256 >&2; exit 1", PATIENCE).await;
        assert_eq!(damaged, "it ended with exit status: 1: expected sha256");
        let hangs = run_shell("exec sleep 1000", Duration::from_millis(20)).await;
        assert_eq!(hangs, "see it end within 20ms: deadline has elapsed");
        let missing = run(Command::new("/nowhere/etcdctl"), PATIENCE).await.unwrap_err();
        assert!(format!("{missing:#}").starts_with("start it: No such file"), "{missing:#}");
    }

    #[test]
    fn what_an_operator_has_set_for_another_etcd_is_not_handed_on() {
        assert!(is_theirs(OsStr::new("ETCDCTL_ENDPOINTS")));
        assert!(!is_theirs(OsStr::new("PATH")));
    }
}
