//! `platform init`: the first process of an end's process namespace. When it ends, the kernel kills every
//! other one in there at once, as a loss of power would.
//!
//! It ends when the supervisor's end of its standard input is closed, as it is when that dies, however it
//! does. Whoever lives in there cannot end it: the kernel keeps their signals from it, even SIGKILL. It waits
//! for orphans, as the first process has to, and does nothing else.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use rustix::process::WaitOptions;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Outcome;
use crate::terminal;

/// What it says when whoever is to live in there can come.
pub(super) const READY: &str = "ready";
/// The pid that the kernel has given last in this namespace.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// The kernel gives no lower ones a second time.
const PID_MIN: u32 = 300;

pub(crate) async fn init() -> anyhow::Result<Outcome> {
    let pid = std::process::id();
    ensure!(pid == 1, "be the first process of a process namespace: this is process {pid}");
    begin_anywhere()?;
    let mut orphans = signal(SignalKind::child()).context("listen for the exit of children")?;
    let leash = io::stdin().as_fd().try_clone_to_owned().context("share standard input")?;
    let mut leash = pipe::Receiver::from_owned_fd(leash).context("listen to the supervisor")?;
    terminal::print(READY)?;
    let mut nothing = [0; 1];
    loop {
        tokio::select! {
            _ = orphans.recv() => while matches!(rustix::process::wait(WaitOptions::NOHANG), Ok(Some(_))) {},
            read = leash.read(&mut nothing) => {
                if read.context("listen to the supervisor")? == 0 {
                    return Ok(Outcome::Done);
                }
            }
        }
    }
}

/// Has pids begin at any number, as those of a machine that has run for a while. `PostgreSQL` that is killed
/// leaves its pid in its data folder, and does not start again while that is alive: were pids given from 1
/// on after each loss, one of them would soon be the pid of another site's server.
fn begin_anywhere() -> anyhow::Result<()> {
    let max = fs::read_to_string(PID_MAX).with_context(|| format!("read {PID_MAX}"))?;
    let max: u32 = max.trim().parse().with_context(|| format!("understand {PID_MAX}"))?;
    let last = rand::rng().random_range(PID_MIN..max.max(PID_MIN + 2) - 1);
    fs::write(LAST_PID, last.to_string())
        .with_context(|| format!("write {LAST_PID}; the kernel needs CONFIG_CHECKPOINT_RESTORE"))
}
