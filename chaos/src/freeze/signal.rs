//! SIGSTOP and SIGCONT.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::journal::Step;
use crate::process::{Process, is_stopped, tree};
use crate::safeguard::Safeguard;
use crate::undo::Undo;

/// Between two looks: a signal takes effect as soon as the process is in user space again.
const LOOK: Duration = Duration::from_millis(5);

/// Stops one process for `ttl` at most, and returns once it is in state T.
pub(crate) async fn stop_one(
    process: Process,
    safeguard: &Safeguard,
    ttl: Duration,
    within: Duration,
) -> anyhow::Result<Step> {
    let due = Instant::now() + within;
    let step = safeguard.intend(Undo::GoOn(process.into()), ttl)?;
    stop(process)?;
    while !is_stopped(process) {
        if !process.is_alive() {
            bail!("stop process {}: it is gone", process.pid);
        }
        if Instant::now() >= due {
            bail!("stop process {}: not in state T after {within:?}", process.pid);
        }
        sleep(LOOK).await;
    }
    Ok(step)
}

/// Stops processes with everything they started, `roots` first: who is stopped starts nobody.
/// Returns all of them once each is in state T and no more are found, with what lets them go on.
pub(crate) async fn stop_trees(
    roots: &[Process],
    safeguard: &Safeguard,
    ttl: Duration,
    within: Duration,
) -> anyhow::Result<(BTreeSet<Process>, BTreeSet<Step>)> {
    let due = Instant::now() + within;
    let mut steps = BTreeSet::new();
    let mut signalled: BTreeSet<Process> = BTreeSet::new();
    loop {
        let found = tree(roots);
        let fresh: Vec<Process> =
            in_order(roots, &found).filter(|process| !signalled.contains(process)).collect();
        let undos = fresh.iter().map(|process| Undo::GoOn((*process).into()));
        steps.extend(safeguard.intend_all(undos, ttl)?);
        for process in &fresh {
            stop(*process)?;
        }
        signalled.extend(&fresh);
        let going: Vec<&Process> =
            found.iter().filter(|found| found.is_alive() && !is_stopped(**found)).collect();
        if fresh.is_empty() && going.is_empty() {
            return Ok((found, steps));
        }
        if Instant::now() >= due {
            bail!("stop {} processes: {going:?} not in state T after {within:?}", found.len());
        }
        sleep(LOOK).await;
    }
}

fn in_order<'a>(
    roots: &'a [Process],
    found: &'a BTreeSet<Process>,
) -> impl Iterator<Item = Process> {
    let rest = found.iter().filter(|process| !roots.contains(process));
    roots.iter().filter(|root| found.contains(root)).chain(rest).copied()
}

fn stop(process: Process) -> anyhow::Result<()> {
    process.signal(Signal::STOP).with_context(|| format!("stop process {}", process.pid))
}
