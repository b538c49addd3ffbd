//! `chaos recover`: takes away whatever drills have left, from their journals first, and then
//! whatever else carries a drill's name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::journal::{self, By, Due, Journal, Record, Told};
use crate::platform::Platform;
use crate::process::{Process, is_stopped};
use crate::sweep;

/// A guard that is at it ends by itself within this.
const GUARD: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// What was done, in words, and what could not be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) done: Vec<String>,
    pub(crate) left: Vec<String>,
}

/// Takes everything away. The caller has the lock, so no runner is at work.
pub(crate) async fn recover(run_dir: &Path) -> anyhow::Result<Recovered> {
    let mut recovered = Recovered::default();
    for folder in journal::left_open(&run_dir.join("drills"))? {
        if let Err(err) = of_journal(&folder, &mut recovered).await {
            recovered.left.push(format!("{}: failed to {err:#}", name(&folder)));
        }
    }
    let platform = Platform::find(run_dir)?;
    let (done, failed) = sweep::clean(run_dir, platform.as_ref());
    recovered.done.extend(done);
    recovered.left.extend(failed);
    for left in check(run_dir)? {
        // With why it could not be taken away, it has been told.
        if !recovered.left.iter().any(|told| told.starts_with(&left)) {
            recovered.left.push(left);
        }
    }
    Ok(recovered)
}

/// Returns what is left: nothing, on a clean machine.
pub(crate) fn check(run_dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for folder in journal::left_open(&run_dir.join("drills"))? {
        left.push(format!("journal of {} is open", name(&folder)));
    }
    let platform = Platform::find(run_dir)?;
    let found = sweep::find(run_dir, platform.as_ref());
    left.extend(found.left.into_iter().map(|left| left.what));
    left.extend(found.unknown);
    Ok(left)
}

async fn of_journal(folder: &Path, recovered: &mut Recovered) -> anyhow::Result<()> {
    let run = name(folder);
    let told = journal::of(folder)?.context("read the journal again")?;
    end_watchers(&told).await?;
    let told = journal::of(folder)?.context("read the journal again")?;
    if told.is_closed {
        recovered.done.push(format!("{run}: its guard took everything away"));
        return Ok(());
    }
    let undone: Vec<String> = told.open.values().map(|(_, undo)| undo.to_string()).collect();
    let mut journal = Journal::open(folder)?;
    let failed = journal.heal(Due::All, By::Recover, || ())?;
    if failed.is_empty() {
        journal.append(&[Record::Closed { by: By::Recover }])?;
    }
    recovered.done.extend(undone.into_iter().map(|undo| format!("{run}: {undo}")));
    recovered.left.extend(failed.into_iter().map(|failed| format!("{run}: {failed}")));
    Ok(())
}

/// Lets a guard that is at it finish; ends a runner or a guard that stands still: should it wake
/// up, it would go on with what nobody expects any more.
async fn end_watchers(told: &Told) -> anyhow::Result<()> {
    if told.boot != journal::boot_id()? {
        return Ok(());
    }
    let due = Instant::now() + GUARD;
    let watchers = [told.runner, told.guard].into_iter().flatten().map(Process::from);
    // An earlier run of the same process is over.
    for process in watchers.filter(|process| Some(*process) != Process::own()) {
        while process.is_alive() && !is_stopped(process) && Instant::now() < due {
            sleep(LOOK).await;
        }
        process
            .signal(Signal::KILL)
            .with_context(|| format!("end process {}, which stands still", process.pid))?;
        // What is killed may still be in the middle of a call.
        while process.is_alive() && Instant::now() < due {
            sleep(LOOK).await;
        }
    }
    Ok(())
}

fn name(folder: &Path) -> String {
    let name = folder.file_name().map(PathBuf::from).unwrap_or_default();
    name.display().to_string()
}
