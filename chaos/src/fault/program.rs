//! A program that does something to the platform as an operator would have it done, and ends with the run.

use std::pin::pin;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::Process;
use crate::programs;

/// Returns the platform's program, to be given arguments. Unlike a signal from here, the kernel's reaches it
/// when this process is killed, too.
pub(super) fn platform() -> anyhow::Result<std::process::Command> {
    let mut command = runtime::child::tied("TERM", None);
    command.arg(programs::platform()?);
    Ok(command)
}

/// Waits for a program to end by itself, and has it end when that takes too long; then nothing is returned.
pub(super) async fn ended(
    mut command: Command,
    within: Duration,
    stop: Duration,
) -> anyhow::Result<Option<Output>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().context("start it")?;
    // Until it has ended: a run that is ended early looks after it no more.
    let mut stopped = Stopped(child.id().and_then(Process::with_pid));
    let mut ended = pin!(child.wait_with_output());
    if let Ok(output) = timeout(within, &mut ended).await {
        stopped.0 = None;
        return output.map(Some).context("wait for it");
    }
    drop(stopped);
    match timeout(stop, &mut ended).await {
        Ok(_) => Ok(None),
        Err(_) => bail!("see it end within {within:?}: it does not, though it was told to"),
    }
}

/// A program that is told to end when this is dropped, so that it takes away what it has made.
struct Stopped(Option<Process>);

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(process) = self.0
            && let Err(err) = process.signal(Signal::TERM)
        {
            tracing::warn!(pid = process.pid, error = %err, "program not told to end");
        }
    }
}
