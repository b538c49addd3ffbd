//! One process of a cell's active site, by what it does there.

use anyhow::Context as _;
use topology::SiteId;

use crate::drill::ProcessRole;
use crate::platform::Platform;
use crate::process::Process;

pub(super) fn find(
    platform: &Platform,
    site: &SiteId,
    role: ProcessRole,
) -> anyhow::Result<Process> {
    let agent = platform.agent(site)?;
    let service = match role {
        ProcessRole::Agent => return Ok(agent),
        ProcessRole::Postgres => return platform.postmaster(site).context("find the postmaster"),
        ProcessRole::Session | ProcessRole::Nlp | ProcessRole::Knowledge | ProcessRole::Ticket => {
            role.name()
        }
    };
    let children = agent.descendants();
    let runs = |process: &&Process| process.arguments().get(1).is_some_and(|arg| arg == service);
    let found = children.iter().find(runs).copied();
    found.with_context(|| format!("find {service} among the processes of {site}"))
}
