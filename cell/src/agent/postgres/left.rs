//! What a server leaves behind that did not end by itself. A postmaster that is killed, or that waits for a slow
//! disk before it tells its children to end, has them go on: who waits for work notices, but who writes does
//! so first, in a directory that is to be rewound or copied, or is the next server's by then.

use std::fs;
use std::path::Path;
use std::time::Duration;

use runtime::process::{Process, all};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{POLL, Postgres};

/// Killed processes end in milliseconds, unless they wait for the disk: then PostgreSQL refuses to start beside
/// them, and whoever waits for it hears that sooner than they end.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(500);
/// Where nobody waits: what such a server has under way is written by then, or it is looked again.
pub(crate) const AFTER_WRITING: Duration = Duration::from_secs(10);

/// As the kernel has the program's name, whatever a process has its title be.
const PROGRAM: &str = "postgres";

impl Postgres {
    /// Kills what is left of a server that has ended, and returns whether all of it is gone in time. Finds
    /// nobody where this process may not look: PostgreSQL starts beside nobody, either.
    pub(crate) async fn is_alone(&self, limit: Duration) -> bool {
        // Whoever ends by itself removes it, after all others have ended.
        if self.is_running() || !self.data.join("postmaster.pid").exists() {
            return true;
        }
        let deadline = Instant::now() + limit;
        loop {
            let left = at_work_in(&self.data);
            if left.is_empty() {
                return true;
            }
            let pids: Vec<u32> = left.iter().map(|process| process.pid).collect();
            warn!(?pids, "processes of an earlier server killed");
            for process in &left {
                if let Err(err) = process.signal(Signal::KILL) {
                    warn!(pid = process.pid, error = %err, "process of an earlier server not killed");
                }
            }
            while left.iter().any(|process| process.is_alive()) {
                if Instant::now() >= deadline {
                    warn!(?pids, "they are still there: they wait for the disk");
                    return false;
                }
                sleep(POLL).await;
            }
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
