//! The guard: a small process that outlives the drill, and takes away what the drill did once the
//! drill is gone or silent, a fault's time is over, the lever is pulled, or cells notice that should not.
//!
//! It reads the run's journal, so it need not be told anything; over a pipe it only hears that the
//! drill lives, and says that it does itself. A pipe ends with its writer: a death is noticed at
//! once, a standstill after [`SILENCE`].

mod others;
mod stand;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, interval, timeout};

use crate::process::Process;
use crate::undo::Named;

pub(crate) use stand::stand_guard;

/// This program, even if its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// A program of this size is up in milliseconds, even on a machine that is busy.
const START: Duration = Duration::from_secs(5);
/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(200);
/// A process that is not stopped is kept waiting for less, even on a machine that is busy.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
const READY: &str = "ready";
/// How the guard says that it has stopped the drill; why is after it.
const STOPPED: &str = "stopped: ";

/// The drill's side: the guard that was started, and how to hear that it lives.
pub(crate) struct Guard {
    process: Process,
    told: ChildStdin,
    heard: Lines<BufReader<ChildStdout>>,
    silence: Duration,
    /// Kept so that it is waited for once it ends.
    child: Child,
}

/// How a guard of a folder's journal is started.
pub(crate) fn command(program: Option<&Path>, folder: &Path, silence: Duration) -> Command {
    let mut command = Command::new(program.unwrap_or(Path::new(PROGRAM)));
    command
        .arg0("chaos")
        .args(["guard", "--silence-ms", &silence.as_millis().to_string(), "--folder"])
        .arg(folder);
    command
}

impl Guard {
    /// Starts a guard, which waits for the journal to be begun.
    pub(crate) async fn start(mut command: Command, silence: Duration) -> anyhow::Result<Self> {
        let mut child = command
            // Ctrl-C is meant for the drill.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the guard")?;
        let told = child.stdin.take().context("talk to the guard")?;
        let mut heard = BufReader::new(child.stdout.take().context("hear the guard")?).lines();
        let ready = timeout(START, heard.next_line()).await;
        let line = ready.context("wait for the guard: silence")?.context("hear the guard")?;
        ensure!(line.as_deref() == Some(READY), "start the guard: it said {line:?}");
        let process = child.id().and_then(Process::with_pid).context("find the guard running")?;
        Ok(Self { process, told, heard, silence, child })
    }

    pub(crate) fn named(&self) -> Named {
        self.process.into()
    }

    /// Keeps telling the guard that the drill lives. Returns only when the guard has stopped the drill, and
    /// why; or when it is not there any more: it is ended then, lest it wakes up and takes away what
    /// is another's.
    pub(crate) async fn keep(&mut self) -> String {
        let mut beats = interval(BEAT);
        let mut last_heard = Instant::now();
        let why = loop {
            tokio::select! {
                _ = beats.tick() => {
                    if last_heard.elapsed() > self.silence {
                        break format!("silent for {:.1?}", last_heard.elapsed());
                    }
                    // A full pipe is not waited for: who does not read does not answer either.
                    let told = timeout(BEAT, self.told.write_all(b".")).await;
                    if let Ok(Err(err)) = told {
                        break err.to_string();
                    }
                }
                line = self.heard.next_line() => match line {
                    Ok(None) => break "it ended".to_owned(),
                    Ok(Some(line)) => {
                        last_heard = Instant::now();
                        if let Some(why) = line.strip_prefix(STOPPED) {
                            return format!("stopped: {why}");
                        }
                    }
                    Err(err) => break err.to_string(),
                },
            }
        };
        if let Err(err) = self.process.signal(rustix::process::Signal::KILL) {
            tracing::error!(error = %err, "guard not ended");
        }
        format!("the guard is lost: {why}")
    }

    /// Lets the guard go: it takes away what is open, and ends.
    pub(crate) async fn let_go(self) -> anyhow::Result<()> {
        let Self { told, heard, mut child, silence, .. } = self;
        drop((told, heard));
        let ended = timeout(silence, child.wait()).await;
        ended.context("wait for the guard to end")?.context("wait for the guard")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
