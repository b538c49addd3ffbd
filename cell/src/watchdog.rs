//! `cell watchdog`: stops a site's PostgreSQL when the agent that should have done it cannot.
//!
//! An agent that is killed takes PostgreSQL along by the kernel's death signal; one that is frozen
//! does not, and its PostgreSQL would go on for as long as somebody writes. This process is told
//! on its standard input which server runs and until when the site may acknowledge. When that moment
//! passes without a later one, or when the agent's end of the pipe is gone, it stops the server.
//! It keeps no lock and asks nobody, and reads nothing but `/proc`, so that little can stop it from doing so.

mod decide;

use std::io::BufRead as _;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::BootTime;
use runtime::process::Process;
use runtime::telemetry;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tracing::{info, warn};

pub use decide::{Order, Watch};

/// Lines that wait while a server is being stopped: the agent writes a few each second.
const LINES: usize = 64;
/// How long a server may take over SIGQUIT: 24 ms were measured. One that is stopped itself never reacts, and
/// one on a slow disk writes before it tells its children: they are all killed.
const QUIT: Duration = Duration::from_millis(500);

/// Watches until the agent's end of the pipe is closed, and the server it left is stopped.
pub fn run(site: &str) -> anyhow::Result<()> {
    let _telemetry = telemetry::start("bulkhead-watchdog", site, None)?;
    let (lines, orders) = sync_channel(LINES);
    // Ends with the pipe, or with the process.
    std::thread::Builder::new()
        .name("read orders".to_owned())
        .spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        })
        .context("read orders")?;
    watch(&orders);
    Ok(())
}

fn watch(orders: &Receiver<String>) {
    let mut watch = Watch::default();
    let mut server: Option<(u32, OwnedFd)> = None;
    loop {
        let patience = watch.patience(BootTime::now());
        match orders.recv_timeout(patience) {
            Ok(line) => match line.parse() {
                Ok(order) => {
                    watch.told(order);
                    server = keep_hold(server, watch.server());
                }
                Err(err) => warn!(line, error = %err, "order not understood"),
            },
            Err(RecvTimeoutError::Timeout) => {
                if watch.is_due(BootTime::now()) {
                    stop(server.take(), "the right ran out");
                    watch.stopped();
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                stop(server.take(), "the agent is gone");
                return;
            }
        }
    }
}

/// Holds on to the server itself, not to its number: that may become another process's.
fn keep_hold(held: Option<(u32, OwnedFd)>, pid: Option<u32>) -> Option<(u32, OwnedFd)> {
    let pid = pid?;
    if let Some(held) = held.filter(|(held, _)| *held == pid) {
        return Some(held);
    }
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(server) => Some((pid, server)),
        Err(err) => {
            info!(pid, error = %err, "server already gone");
            None
        }
    }
}

fn stop(server: Option<(u32, OwnedFd)>, why: &str) {
    let Some((pid, server)) = server else { return };
    if pidfd_send_signal(&server, Signal::QUIT).is_err() {
        return;
    }
    warn!(pid, why, "PostgreSQL stopped at once");
    std::thread::sleep(QUIT);
    // A frozen agent does not collect its children: the server may have ended all the same. One that stands
    // still has no more children, and its number is no other's.
    if has_ended(pid) || pidfd_send_signal(&server, Signal::STOP).is_err() {
        return;
    }
    // An orphan has no parent to be found by.
    let children = Process::with_pid(pid).map(Process::descendants).unwrap_or_default();
    if pidfd_send_signal(&server, Signal::KILL).is_ok() {
        warn!(pid, "PostgreSQL killed");
    }
    for child in children {
        if let Err(err) = child.signal(Signal::KILL) {
            warn!(pid = child.pid, error = %err, "process of PostgreSQL not killed");
        }
    }
}

/// Returns whether nothing of the process runs any more.
fn has_ended(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_gone) => true,
    }
}
