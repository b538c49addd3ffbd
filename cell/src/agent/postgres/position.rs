//! How far a standby is, once nothing moves any more.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;
use topology::Position;

use super::wal::parse_lsn;
use super::{POLL, Postgres, Upstream};

/// How long freezing may take: the election waits two seconds for all votes.
const FREEZE_LIMIT: Duration = Duration::from_millis(1500);

/// A WAL receiver that receives. One whose source has no more of this timeline waits to be told of another
/// one; where the histories have parted it waits for ever, and without a source nobody tells it.
const RECEIVER: &str = "SELECT 1 FROM pg_stat_wal_receiver WHERE status <> 'waiting'";

impl Postgres {
    /// Cuts a running standby off from its source, waits until everything it received is replayed,
    /// and returns where it ended. Afterwards that place cannot move.
    pub(crate) async fn freeze(&self) -> anyhow::Result<Position> {
        self.follow(&Upstream::nowhere()).context("cut off the source")?;
        let deadline = Instant::now() + FREEZE_LIMIT;
        let receiving = format!("SELECT EXISTS ({RECEIVER})");
        while self.sql.one(&receiving).await? {
            ensure!(Instant::now() < deadline, "see the WAL receiver end");
            tokio::time::sleep(POLL).await;
        }
        // The timeline is that of what is replayed, so it is asked for between two looks that find
        // nothing left to replay: it also looks so for a moment between two files.
        loop {
            ensure!(Instant::now() < deadline, "replay what was received");
            if let Some(lsn) = self.at_rest().await? {
                let timeline = self.timeline().await?;
                if self.at_rest().await? == Some(lsn) {
                    return Ok(Position { timeline, lsn });
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns where the standby is, if it neither receives nor has anything left to replay. A
    /// position that stands still is no proof, as replay may be held up by a lock or a disk: the
    /// server itself must say that it has replayed what it received, or, if it has received nothing
    /// since it started, that it waits for more.
    async fn at_rest(&self) -> anyhow::Result<Option<u64>> {
        let at_rest = format!(
            "SELECT CASE WHEN NOT EXISTS ({RECEIVER}) AND (
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
        Ok(self.place_of(self.address).await?.timeline)
    }

    /// Returns where the checkpoint of the last clean shutdown begins, from the control file of a stopped
    /// server; `None` if it did not end cleanly.
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
