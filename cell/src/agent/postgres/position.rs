//! How far a standby is, once nothing moves any more.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;
use topology::Place;
use tracing::warn;

use super::wal::parse_lsn;
use super::{POLL, Postgres, Upstream};

/// How long freezing may take: the election waits two seconds for all votes.
const FREEZE_LIMIT: Duration = Duration::from_millis(1500);

/// What is under way comes in a way between regions.
const ARRIVAL_LIMIT: Duration = Duration::from_millis(500);

/// How long a receiver may wait to be told of another timeline, as it does at each that ends, before it
/// counts as one that will not be told: the histories have parted, and it would wait for ever.
const UNTOLD: Duration = Duration::from_millis(250);

/// A place in the WAL. Later timelines come after all positions of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) timeline: u32,
    pub(crate) lsn: u64,
}

impl Postgres {
    /// Cuts a running standby off from its source, waits until everything it received is replayed,
    /// and returns where it ended. Afterwards that place cannot move.
    pub(crate) async fn freeze(&self) -> anyhow::Result<Position> {
        self.follow(&Upstream::nowhere()).context("cut off the source")?;
        let deadline = Instant::now() + FREEZE_LIMIT;
        let receives = self.see_receiver_end(deadline).await?;
        // The timeline is that of what is replayed, so it is asked for between two looks that find
        // nothing left to replay: it also looks so for a moment between two files.
        loop {
            ensure!(Instant::now() < deadline, "replay what was received");
            if let Some(lsn) = self.at_rest(receives).await? {
                let timeline = self.timeline().await?;
                if self.at_rest(receives).await? == Some(lsn) {
                    return Ok(Position { timeline, lsn });
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Adds to a position where its timeline began; `None` if that is not written down here.
    pub(crate) fn located(&self, position: Position) -> Option<Place> {
        let Position { timeline, lsn } = position;
        let history = self.history(timeline);
        let begun = history.inspect_err(|err| {
            let error = format!("{err:#}");
            warn!(timeline, error, "it is not known where this timeline began");
        });
        Some(Place { timeline, begun: begun.ok()?.begun(), lsn })
    }

    /// Returns what tells from then on that something is received.
    async fn see_receiver_end(&self, deadline: Instant) -> anyhow::Result<&'static str> {
        let status = "SELECT max(status) FROM pg_stat_wal_receiver";
        let mut waits_since = None;
        loop {
            let status: Option<String> = self.sql.one(status).await?;
            let now = Instant::now();
            match status.as_deref() {
                None => return Ok("true"),
                Some("waiting") if now - *waits_since.get_or_insert(now) >= UNTOLD => {
                    return Ok("status <> 'waiting'");
                }
                Some("waiting") => {}
                Some(_) => waits_since = None,
            }
            ensure!(now < deadline, "see the WAL receiver end");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns where the standby is, if it neither receives nor has anything left to replay. A
    /// position that stands still is no proof, as replay may be held up by a lock or a disk: the
    /// server itself must say that it has replayed what it received, or, if it has received nothing
    /// since it started, that it waits for more.
    async fn at_rest(&self, receives: &str) -> anyhow::Result<Option<u64>> {
        let at_rest = format!(
            "SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE {receives}) AND (
                coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false)
                OR EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'startup'
                    AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream')))
            THEN (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::bigint END"
        );
        let lsn: Option<i64> = self.sql.one(&at_rest).await?;
        Ok(lsn.and_then(|lsn| u64::try_from(lsn).ok()))
    }

    /// Returns the furthest place in the WAL this server has, for people and for evidence. A standby
    /// that receives nothing now is where it was `before`, if that is known.
    pub(crate) async fn position(&self, before: Option<Position>) -> anyhow::Result<Position> {
        let timeline = "SELECT CASE WHEN pg_is_in_recovery()
                THEN (SELECT nullif(received_tli, 0) FROM pg_stat_wal_receiver)
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END";
        let timeline: Option<i32> = self.sql.one(timeline).await?;
        let timeline = match (timeline.and_then(|id| u32::try_from(id).ok()), before) {
            (Some(timeline), _) => timeline,
            (None, Some(before)) => before.timeline,
            // A connection of its own: too much for every look.
            (None, None) => self.timeline().await?,
        };
        Ok(Position { lsn: self.furthest().await?, timeline })
    }

    async fn furthest(&self) -> anyhow::Result<u64> {
        let furthest = "SELECT (CASE WHEN pg_is_in_recovery()
                THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint";
        let lsn: Option<i64> = self.sql.one(furthest).await?;
        Ok(lsn.and_then(|lsn| u64::try_from(lsn).ok()).unwrap_or(0))
    }

    /// Asks over the replication protocol: the control file names an old timeline on a standby that
    /// has followed a promotion.
    async fn timeline(&self) -> anyhow::Result<u32> {
        Ok(self.position_of(self.address).await?.timeline)
    }

    /// Waits until this standby has received so much, for a moment.
    pub(crate) async fn comes_to(&self, lsn: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + ARRIVAL_LIMIT;
        while self.furthest().await? < lsn {
            ensure!(Instant::now() < deadline, "receive everything within {ARRIVAL_LIMIT:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Returns where the checkpoint of the last clean shutdown begins, from the control file of a server that
    /// has written it; `None` if it did not end cleanly.
    pub(crate) async fn clean_end(&self) -> anyhow::Result<Option<Position>> {
        let control = self
            .binaries
            .run("pg_controldata", |command| {
                command.env("LC_ALL", "C").arg("-D").arg(&self.data);
            })
            .await?;
        let field = |name: &str| {
            let line = control.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim())
        };
        let clean = field("Database cluster state") == Some("shut down");
        let lsn = field("Latest checkpoint location").and_then(parse_lsn);
        let timeline = field("Latest checkpoint's TimeLineID").and_then(|id| id.parse().ok());
        let checkpoint = timeline.zip(lsn).map(|(timeline, lsn)| Position { timeline, lsn });
        Ok(checkpoint.filter(|_| clean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_timeline_is_further_whatever_its_position() {
        let old = Position { timeline: 3, lsn: 900 };
        let new = Position { timeline: 4, lsn: 100 };
        assert!(new > old);
    }
}
