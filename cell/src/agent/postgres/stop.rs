//! Ends the server, and waits for that.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;
use tracing::info;

use super::{AT_ONCE, POLL, Position, Postgres};

/// Where the control file has the server's state, behind the system's number and two versions;
/// `DB_SHUTDOWNED`, and `DB_SHUTDOWNED_IN_RECOVERY`. PostgreSQL 12 to 17: `pg_control.h`.
const STATE_AT: u64 = 16;
const SHUT_DOWN: u32 = 1;
const SHUT_DOWN_AS_STANDBY: u32 = 2;

/// How PostgreSQL is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ship everything to the standbys and write a checkpoint.
    Fast,
    /// Drop everything at once: what is acknowledged is on disk.
    Immediate,
}

impl Postgres {
    /// Asks the server to stop and waits; after `limit` it is stopped at once.
    pub(crate) async fn stop(&self, how: Stop, limit: Duration) -> anyhow::Result<()> {
        // A standby sends nothing.
        if how == Stop::Fast && self.is_running() && !self.is_standby() {
            self.stop_archiving().await;
        }
        self.signal(match how {
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
        });
        self.end(how, limit).await;
        Ok(())
    }

    /// Asks the server to stop, and returns where its last checkpoint begins once that is on disk. Nothing is
    /// written after it; what the standbys do not have yet is sent meanwhile.
    pub(crate) async fn last_checkpoint(&self, limit: Duration) -> anyhow::Result<Position> {
        self.signal(Signal::INT);
        let deadline = Instant::now() + limit;
        while self.is_running() && !self.is_shut_down() {
            if Instant::now() > deadline {
                self.end(Stop::Fast, Duration::ZERO).await;
            }
            tokio::time::sleep(POLL).await;
        }
        self.clean_end().await?.context("stop PostgreSQL cleanly")
    }

    /// Waits until a server that was asked to stop so has ended; after `limit` it is stopped at once.
    pub(crate) async fn end(&self, how: Stop, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut asked_harder = how == Stop::Immediate;
        let mut is_killed = false;
        while self.is_running() {
            if Instant::now() > deadline {
                // SIGQUIT first: its backends end with it. SIGKILL leaves them.
                self.signal(if asked_harder { Signal::KILL } else { Signal::QUIT });
                is_killed = asked_harder;
                asked_harder = true;
            }
            tokio::time::sleep(POLL).await;
        }
        if is_killed {
            self.is_alone(AT_ONCE).await;
        }
        self.sql.forget();
    }

    /// Stops the server at once, without waiting: for the moment the site's right runs out.
    pub(crate) fn stop_now(&self) {
        self.signal(Signal::QUIT);
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = self.child().as_ref().map(Child::id);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(err) = kill_process(pid, signal)
        {
            // It ended in this moment; whoever waits for that sees it.
            info!(error = %err, "PostgreSQL could not be signalled");
        }
    }

    /// Whether the control file looks like one of a server that has written its last checkpoint: a cheap look,
    /// for [`clean_end`](Self::clean_end) to confirm.
    fn is_shut_down(&self) -> bool {
        self.control_state().is_ok_and(|state| state == SHUT_DOWN)
    }

    /// Returns whether this stopped server was killed while it ran as a standby.
    pub(super) fn was_killed_as_standby(&self) -> anyhow::Result<bool> {
        let state = self.control_state().context("read PostgreSQL's control file")?;
        Ok(self.is_standby() && ![SHUT_DOWN, SHUT_DOWN_AS_STANDBY].contains(&state))
    }

    fn control_state(&self) -> io::Result<u32> {
        let mut state = [0; 4];
        File::open(self.data.join("global/pg_control"))?.read_exact_at(&mut state, STATE_AT)?;
        Ok(u32::from_ne_bytes(state))
    }
}
