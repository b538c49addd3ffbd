//! `ip` of iproute2, which makes addresses and routes.

use std::process::Command;

use anyhow::Context as _;
use runtime::program;

/// Carries out lines of `ip` in the network namespace of the calling thread, to the first that
/// fails.
pub(super) fn ip(lines: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]);
    let mut script = lines.join("\n");
    script.push('\n');
    program::run(command, &script).map(|_| ()).context("set up the network; ip is of iproute2")
}
