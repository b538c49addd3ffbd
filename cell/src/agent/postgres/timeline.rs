//! The timeline that a promotion begins: told by who was promoted, and noted by who follows before its
//! PostgreSQL asks.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;
use topology::Place;
use topology::wire::agent::BegunTimeline;

use super::wal::{History, Segment};
use super::{POLL, Postgres, parse_lsn};

/// What PostgreSQL removes when it starts, should it be left.
const UNFINISHED: &str = "xlogtemp.agent";
/// Longest history accepted. It has a line of some 60 bytes for each timeline before.
const HISTORY_MAX: usize = 1024 * 1024;

/// How long PostgreSQL may take to see it: it looks ten times a second, and when it is woken up.
const TAKEN_UP: Duration = Duration::from_millis(200);
/// As much of the log is looked at: a few lines are written meanwhile.
const LOG_MAX: u64 = 64 * 1024;

/// The beginning of a file of WAL, up to where its timeline was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) from: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Postgres {
    /// Returns the timeline that this server has begun, for those who follow.
    pub(crate) async fn begun_timeline(
        &self,
        epoch: u64,
        system: u64,
    ) -> anyhow::Result<BegunTimeline> {
        let where_it_is = "SELECT left(pg_walfile_name(flushed), 8) || ' ' || flushed
            FROM pg_current_wal_flush_lsn() flushed";
        let told: String = self.sql.one(where_it_is).await?;
        let read = told.split_once(' ').and_then(|(timeline, lsn)| {
            Some((u32::from_str_radix(timeline, 16).ok()?, parse_lsn(lsn)?))
        });
        let (timeline, lsn) = read.with_context(|| format!("understand {told}"))?;
        let path = self.history_path(timeline);
        let history = fs::read_to_string(&path);
        let history = history.with_context(|| format!("read {}", path.display()))?;
        Ok(BegunTimeline { epoch, system, timeline, lsn, history })
    }

    /// Has this standby, which follows nobody, take up a timeline that forks off where it is. PostgreSQL would
    /// ask for it after it had been told that the old one ends.
    pub(crate) async fn take_up(&self, own: Place, begun: &BegunTimeline) -> anyhow::Result<()> {
        let logged = fs::metadata(&self.log).map_or(0, |log| log.len());
        self.note_timeline(own, begun)?;
        // It looks for timelines whenever it has found no WAL, and sleeps then: this wakes it up.
        self.reload()?;
        let expected = format!("new target timeline is {}", begun.timeline);
        let deadline = Instant::now() + TAKEN_UP;
        while !self.has_logged(&expected, logged)? {
            ensure!(
                Instant::now() < deadline,
                "see PostgreSQL take timeline {} up",
                begun.timeline
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// PostgreSQL says it in its log, and nowhere else.
    fn has_logged(&self, text: &str, from: u64) -> anyhow::Result<bool> {
        let mut log = File::open(&self.log).context("open the log of PostgreSQL")?;
        log.seek(SeekFrom::Start(from)).context("read what is new in the log of PostgreSQL")?;
        let mut new = Vec::new();
        let read = log.take(LOG_MAX).read_to_end(&mut new);
        read.context("read what is new in the log of PostgreSQL")?;
        Ok(String::from_utf8_lossy(&new).contains(text))
    }

    fn note_timeline(&self, own: Place, begun: &BegunTimeline) -> anyhow::Result<()> {
        let BegunTimeline { timeline, history, .. } = begun;
        ensure!(history.len() <= HISTORY_MAX, "a history of {} bytes", history.len());
        let read = History::read(history, *timeline).context("understand its history")?;
        ensure!(
            *timeline > own.timeline && read.is_left_at(own.timeline, own.lsn),
            "timeline {timeline} does not fork off where this site is: {history}"
        );
        let path = self.history_path(*timeline);
        if path.exists() {
            let known = fs::read_to_string(&path);
            let known = known.with_context(|| format!("read {}", path.display()))?;
            ensure!(known == *history, "{} is there, and says something else", path.display());
            return Ok(());
        }
        let beside = self.wal_folder().join(UNFINISHED);
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(history.as_bytes())?;
            file.sync_all()
        });
        written.with_context(|| format!("write {}", beside.display()))?;
        // PostgreSQL looks for it all the time, and ends where it may not read it.
        self.binaries.own(&beside)?;
        fs::rename(&beside, &path).with_context(|| format!("make {}", path.display()))?;
        let folder = File::open(self.wal_folder()).and_then(|folder| folder.sync_all());
        folder.context("flush the folder of the WAL")
    }

    /// Returns what this server has of the file in which it left a timeline.
    pub(crate) fn head(&self, left: Place) -> anyhow::Result<Head> {
        let size = self.segment_size()?;
        let number = size.number(left.lsn);
        let name = size.name(Segment { number, timeline: left.timeline });
        let path = self.wal_folder().join(name);
        let from = size.start(left.lsn);
        let length = left.lsn - from;
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(length).read_to_end(&mut bytes));
        read.with_context(|| format!("read {}", path.display()))?;
        ensure!(bytes.len() as u64 == length, "{} is too short", path.display());
        Ok(Head { from, bytes })
    }

    pub(super) fn history_path(&self, timeline: u32) -> PathBuf {
        self.wal_folder().join(format!("{timeline:08X}.history"))
    }
}
