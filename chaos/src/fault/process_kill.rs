//! `process.kill`: one process of a cell's active site dies by SIGKILL. Nobody is held back: that
//! it is started again, or taken over from, is what the drill looks at.

use std::fs;

use anyhow::{Context as _, ensure};
use topology::SiteId;

use super::site_kill::agent;
use super::{Bench, Injection};
use crate::drill::ProcessRole;
use crate::platform::Platform;
use crate::process::{Process, kill_one};

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    role: ProcessRole,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let process = find(bench.platform, site, role)?;
    let (pid, name) = (process.pid, role.name());
    injection.begin(&bench.clock);
    kill_one(process, bench.action.verify_within).await?;
    injection.step(&bench.clock, format!("killed {name} of {site}, process {pid}"));
    injection.proof.push(format!("process {pid}, started at {}, is gone", process.start_time));
    Ok(())
}

fn find(platform: &Platform, site: &SiteId, role: ProcessRole) -> anyhow::Result<Process> {
    let agent = agent(platform, site)?;
    let service = match role {
        ProcessRole::Agent => return Ok(agent),
        ProcessRole::Postgres => return postmaster(platform, site)?.context("find the postmaster"),
        ProcessRole::Session | ProcessRole::Nlp | ProcessRole::Knowledge | ProcessRole::Ticket => {
            role.name()
        }
    };
    let children = agent.descendants();
    let runs = |process: &&Process| process.arguments().get(1).is_some_and(|arg| arg == service);
    let found = children.iter().find(runs).copied();
    found.with_context(|| format!("find {service} among the processes of {site}"))
}

/// Returns a site's postmaster, by the pid it wrote into its data folder; `None` if none runs.
pub(super) fn postmaster(platform: &Platform, site: &SiteId) -> anyhow::Result<Option<Process>> {
    let data = platform.postgres_data(site);
    let path = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    let pid: u32 = pid.with_context(|| format!("read a pid from {}", path.display()))?;
    let Some(process) = Process::with_pid(pid) else { return Ok(None) };
    // A stale file may name somebody else's process.
    let folder = data.to_string_lossy();
    let is_its = process.arguments().iter().any(|argument| argument.contains(folder.as_ref()));
    ensure!(is_its, "trust {}: process {pid} does not run on {folder}", path.display());
    Ok(Some(process))
}
