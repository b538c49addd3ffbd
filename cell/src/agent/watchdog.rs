//! Keeps the watchdog told (`cell watchdog`): which server runs, and until when it may.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::Board;
use runtime::clock::BootTime;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::postgres::Postgres;
use super::shared::Shared;
use crate::config::Site;
use crate::watchdog::Order;

/// A watchdog that does not read is frozen like the rest of the site; the next one is told anew.
const WRITE: Duration = Duration::from_millis(500);
/// Pause before a watchdog that ended is started again.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is seen to run, with nothing to tell.
const LOOK: Duration = Duration::from_secs(1);

/// Runs a watchdog as long as the agent runs. A cell is served without one, and says so.
pub(crate) async fn feed(
    site: Arc<Site>,
    postgres: Arc<Postgres>,
    shared: Arc<Shared>,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let ended = match start(&site.id.to_string()) {
            Ok(mut child) => tell(&mut child, &postgres, &shared, &board, &stop).await,
            Err(err) => Err(err),
        };
        if let Err(err) = ended {
            let error = format!("{err:#}");
            warn!(error, "no watchdog");
            board.record("feed the watchdog", Err(error));
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

fn start(site: &str) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("find this program")?;
    let child = Command::new(own)
        .args(["watchdog", "--site"])
        .arg(site)
        // It writes its few lines into the agent's log, and exports nothing.
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .stdin(Stdio::piped())
        // A terminal's Ctrl-C is for the agent: the watchdog ends with its pipe.
        .process_group(0)
        .spawn()
        .context("start the watchdog")?;
    info!(pid = child.id(), "watchdog started");
    Ok(child)
}

/// What the watchdog was told last.
#[derive(Default)]
struct Told {
    server: Option<u32>,
    until: Option<BootTime>,
}

impl Told {
    /// Returns what it has to be told now. With another server it has forgotten the moment it was
    /// told, which is told again. A right that was given up stays as it was told: the server may still
    /// be running on it.
    fn news(&mut self, server: Option<u32>, until: Option<BootTime>) -> Vec<Order> {
        let server = server.filter(|pid| self.server != Some(*pid));
        let until = until.filter(|until| server.is_some() || self.until != Some(*until));
        self.server = server.or(self.server);
        self.until = until.or(self.until);
        server.map(Order::Server).into_iter().chain(until.map(Order::Until)).collect()
    }
}

async fn tell(
    child: &mut Child,
    postgres: &Postgres,
    shared: &Shared,
    board: &Board,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut pipe = child.stdin.take().context("open the watchdog's pipe")?;
    let mut standing = shared.standing.subscribe();
    let mut right = shared.right.subscribe();
    let mut server = postgres.pid.subscribe();
    let mut told = Told::default();
    board.record("feed the watchdog", Ok(()));
    while !stop.is_cancelled() {
        let claims = standing.borrow_and_update().claim.is_some();
        right.borrow_and_update();
        let pid = *server.borrow_and_update();
        let until =
            Some(shared.valid_until()).filter(|until| claims && *until > BootTime::default());
        for order in told.news(pid, until) {
            let line = format!("{order}\n");
            let write = pipe.write_all(line.as_bytes());
            tokio::time::timeout(WRITE, write).await.context("tell the watchdog in time")??;
        }
        tokio::select! {
            changed = standing.changed() => changed?,
            changed = right.changed() => changed?,
            changed = server.changed() => changed?,
            ended = child.wait() => anyhow::bail!("keep the watchdog: it ended with {}", ended?),
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        let mut told = Told::default();
        assert_eq!(told.news(Some(7), None), [Order::Server(7)]);
        assert_eq!(told.news(Some(7), Some(at(10))), [Order::Until(at(10))]);
        assert_eq!(told.news(Some(7), Some(at(10))), []);
        assert_eq!(told.news(None, None), []);
        assert_eq!(told.news(Some(7), Some(at(20))), [Order::Until(at(20))]);
    }

    #[test]
    fn a_server_that_is_started_under_the_same_right_is_guarded_by_it() {
        let mut told = Told::default();
        told.news(Some(7), Some(at(10)));
        assert_eq!(told.news(Some(8), Some(at(10))), [Order::Server(8), Order::Until(at(10))]);
    }

    fn at(nanos: u64) -> BootTime {
        BootTime::from_nanos(nanos)
    }
}
