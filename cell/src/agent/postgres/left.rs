//! What a server leaves behind that did not end by itself. A postmaster that is killed, or that waits for a slow
//! disk before it tells its children to end, has them go on: who waits for work notices, but who writes does
//! so first, in a directory that is to be rewound or copied, or is the next server's by then.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use runtime::process::{Process, all};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{POLL, Postgres};

/// Who was killed in the middle of a write ends with that. Whoever waits is begun again after this.
const LIMIT: Duration = Duration::from_secs(10);

/// As the kernel has the program's name, whatever a process has its title be.
const PROGRAM: &str = "postgres";

impl Postgres {
    /// Kills what is left of a server that has ended, and returns once all of it is gone.
    pub(super) async fn nobody_is_left(&self) -> anyhow::Result<()> {
        ensure!(!self.is_running(), "take PostgreSQL's directory while it runs");
        let deadline = Instant::now() + LIMIT;
        let mut told = false;
        loop {
            let left = at_work_in(&self.data);
            if left.is_empty() {
                return Ok(());
            }
            let pids: Vec<u32> = left.iter().map(|process| process.pid).collect();
            if !told {
                warn!(?pids, "processes of an earlier server killed");
            }
            told = true;
            for process in &left {
                process.signal(Signal::KILL)?;
            }
            ensure!(
                Instant::now() < deadline,
                "see processes {pids:?} of an earlier server end, which are killed: they wait for the disk"
            );
            sleep(POLL).await;
        }
    }
}

/// Returns the processes of a server whose data are there: each of them works in its folder.
fn at_work_in(data: &Path) -> Vec<Process> {
    let Ok(data) = data.canonicalize() else { return Vec::new() };
    let proc =
        |process: &Process, name| Path::new("/proc").join(process.pid.to_string()).join(name);
    let is_one = |process: &Process| {
        fs::read_to_string(proc(process, "comm")).is_ok_and(|name| name.trim_end() == PROGRAM)
            && fs::read_link(proc(process, "cwd")).is_ok_and(|folder| folder == data)
    };
    all().into_iter().map(|living| living.process).filter(is_one).collect()
}
