//! `ip` of iproute2, which makes addresses and routes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Carries out lines of `ip` in the network namespace of the calling thread, to the first that
/// fails.
pub(super) fn ip(lines: &[String]) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start ip; apt-get install iproute2")?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    // One that has failed reads no further; it says why.
    let written =
        stdin.write_all(lines.join("\n").as_bytes()).and_then(|()| stdin.write_all(b"\n"));
    drop(stdin);
    let output = child.wait_with_output().context("wait for ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "set up the network: ip: {}", said.trim());
    written.context("tell ip")
}
