//! `chaos recover`.

use std::path::Path;
use std::time::Duration;

use runtime::run_dir::run_dir;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::cli::RecoverArgs;
use crate::exit::Exit;
use crate::lock::{self, Holder};
use crate::recover as recovering;
use crate::terminal::{complain, print};

/// A killed process is gone within this, unless the disk hangs.
const KILLED: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn recover(args: &RecoverArgs) -> anyhow::Result<Exit> {
    let run_dir = run_dir(args.place.run_dir.clone())?;
    if args.check {
        let left = recovering::check(&run_dir)?;
        for left in &left {
            print(left)?;
        }
        return Ok(if left.is_empty() { Exit::Pass } else { Exit::Residue });
    }
    let drills = run_dir.join("drills");
    let mut taken = lock::take(&drills, "chaos recover")?;
    if let Err(Some(holder)) = &taken
        && holder.is_stopped()
    {
        // It will not end by itself; its guard, if it has one left, sees that it is gone.
        print(&format!("ending {}, which stands still", holder.told()))?;
        holder.process().signal(Signal::KILL)?;
        // What is killed may still be in the middle of a call; whoever then has the lock is told.
        let due = Instant::now() + KILLED;
        while holder.process().is_alive() && Instant::now() < due {
            sleep(LOOK).await;
        }
        taken = lock::take(&drills, "chaos recover")?;
    }
    let _lock = match taken {
        Ok(lock) => lock,
        Err(holder) => return Ok(refused(&run_dir, holder.as_ref())),
    };
    let recovered = recovering::recover(&run_dir).await?;
    for done in &recovered.done {
        print(&format!("taken away: {done}"))?;
    }
    for left in &recovered.left {
        complain(&format!("left: {left}"));
    }
    if recovered.left.is_empty() {
        print("clean")?;
        return Ok(Exit::Pass);
    }
    Ok(Exit::Residue)
}

/// Says who has the lock, and how to get rid of it.
pub(super) fn refused(run_dir: &Path, holder: Option<&Holder>) -> Exit {
    let who = holder.map_or_else(|| "somebody".to_owned(), Holder::told);
    let place = run_dir.display();
    let stopped = holder.is_some_and(Holder::is_stopped);
    let how = if stopped { "`chaos recover` ends it" } else { "`chaos lever pull WHY` stops it" };
    complain(&format!("another drill is running in {place}: {who}; {how}"));
    Exit::Refused
}
