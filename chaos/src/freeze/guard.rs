//! The guard: a small process that outlives the drill, and thaws what the drill froze once the
//! drill is gone or the time is over, whichever is sooner.
//!
//! It is told over a pipe before anything is frozen. A pipe outlives its writer's death, and ends
//! with it: nobody has to be asked whether the drill still lives.

use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::stop_asked;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

use super::Frozen;
use crate::terminal::{complain, print};

/// This program, even if its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// A program of this size is up in milliseconds, even on a machine that is busy.
const START: Duration = Duration::from_secs(5);
const TELL: Duration = Duration::from_secs(1);
const READY: &str = "ready";

/// The drill's side. Dropping it thaws everything it was told of.
pub(crate) struct Guard {
    frozen: Vec<Frozen>,
    /// Closing it is what lets the guard go.
    told: Option<ChildStdin>,
    /// Kept so that it is waited for once it ends.
    _child: Child,
}

impl Guard {
    /// Starts a guard that thaws after `ttl`, whatever happens.
    pub(crate) async fn start(ttl: Duration) -> anyhow::Result<Self> {
        let mut child = Command::new(PROGRAM)
            .arg0("chaos")
            .args(["guard", "--ttl-ms", &ttl.as_millis().to_string()])
            // Ctrl-C is meant for the drill.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the guard")?;
        let told = child.stdin.take().context("talk to the guard")?;
        let said = child.stdout.take().context("hear the guard")?;
        let mut line = String::new();
        let heard = timeout(START, BufReader::new(said).read_line(&mut line)).await;
        heard.context("wait for the guard: silence")?.context("hear the guard")?;
        ensure!(line.trim() == READY, "start the guard: it said {line:?}");
        Ok(Self { frozen: Vec::new(), told: Some(told), _child: child })
    }

    /// Says what is about to be frozen.
    pub(super) async fn note(&mut self, frozen: Frozen) -> anyhow::Result<()> {
        let told = self.told.as_mut().context("tell the guard: it was let go")?;
        let line = format!("{frozen}\n");
        let written = timeout(TELL, told.write_all(line.as_bytes())).await;
        written.context("tell the guard: it does not read")?.context("tell the guard")?;
        self.frozen.push(frozen);
        Ok(())
    }

    /// Thaws everything, and lets the guard go.
    pub(crate) fn thaw(&mut self) -> anyhow::Result<()> {
        let thawed = thaw_all(&self.frozen);
        if thawed.is_ok() {
            self.frozen.clear();
        }
        self.told = None;
        thawed
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(err) = self.thaw() {
            tracing::error!(error = format!("{err:#}"), "something stays frozen");
        }
    }
}

/// The guard's side: returns once everything it was told of has been thawed.
pub(crate) async fn stand_guard(ttl: Duration) -> anyhow::Result<()> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("take over the pipe")?;
    let pipe = pipe::Receiver::from_owned_fd(stdin).context("read from the pipe")?;
    let mut frozen = Vec::new();
    let listen = async {
        print(READY)?;
        let mut lines = BufReader::new(pipe).lines();
        while let Some(line) = lines.next_line().await.context("hear the drill")? {
            match Frozen::parse(&line) {
                Some(told) => frozen.push(told),
                None => complain(&format!("the guard does not understand {line:?}")),
            }
        }
        anyhow::Ok(())
    };
    let heard = tokio::select! {
        // What was told before the end is thawed, too.
        biased;
        heard = listen => heard,
        () = sleep(ttl) => Ok(()),
        () = stop_asked() => Ok(()),
    };
    thaw_all(&frozen).and(heard)
}

/// Thaws each, the last first; one that cannot be thawed does not keep the others frozen.
fn thaw_all(frozen: &[Frozen]) -> anyhow::Result<()> {
    let failed = frozen.iter().rev().filter_map(|frozen| frozen.thaw().err());
    failed.reduce(|first, _| first).map_or(Ok(()), Err)
}
