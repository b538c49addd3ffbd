//! What a former primary has written that the cell's history went on without: where it left the
//! history, and which transactions lie beyond.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};

use super::wal::{History, Segment, SegmentSize, Stretch, lsn, parse_lsn};
use super::{Position, Postgres, protocol};

/// WAL that belongs to nobody's history but this site's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    /// The timeline this server wrote last.
    pub(crate) timeline: u32,
    /// Where the cell's history went on without it.
    pub(crate) fork: u64,
    pub(crate) transactions: Vec<Committed>,
    /// Where the last of them begins, or the fork if there is none.
    pub(crate) end: u64,
    /// The files it is in.
    pub(crate) files: Vec<String>,
}

/// A committed transaction, as the WAL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The transaction's number and those of its subtransactions.
    pub(crate) xids: Vec<u32>,
    pub(crate) at: String,
    pub(crate) lsn: u64,
}

impl Postgres {
    /// Compares this stopped server's WAL with the history of `source`. `None` if nothing tells them
    /// apart.
    pub(crate) async fn divergence(
        &self,
        source: SocketAddr,
    ) -> anyhow::Result<Option<Divergence>> {
        let own = self.history(self.last_timeline()?)?;
        let Some(fork) = own.fork(&self.history_at(source).await?) else { return Ok(None) };
        let size = self.segment_size()?;
        let mut transactions = Vec::new();
        let mut files = Vec::new();
        let all = self.wal_files()?;
        for stretch in own.beyond(fork, size) {
            let written = files_of(&stretch, &all, size);
            // WAL goes from its old end: where nothing is left of what came later, nothing was written.
            // A disk that was full when a new file was due ends like this.
            if written.is_empty() {
                continue;
            }
            let is_whole = is_whole(&stretch, &written, size);
            files.extend(written);
            let told = self
                .binaries
                .dump("pg_waldump", is_whole, |command| {
                    command.arg("--path").arg(self.wal_folder());
                    command.args(["--rmgr", "Transaction", "--start", &lsn(stretch.from)]);
                    command.args(["--timeline", &stretch.timeline.to_string()]);
                    command.args(stretch.to.iter().flat_map(|to| ["--end".to_owned(), lsn(*to)]));
                })
                .await?;
            let within = |commit: &Committed| commit.lsn >= fork.at;
            transactions.extend(told.lines().filter_map(committed).filter(within));
        }
        let end = transactions.last().map_or(fork.at, |last| last.lsn);
        // What comes later has been set aside for WAL that was never written.
        let last = size.number(end) + 1;
        files.retain(|name| size.segment(name).is_some_and(|segment| segment.number <= last));
        let timeline = own.current();
        Ok(Some(Divergence { timeline, fork: fork.at, transactions, end, files }))
    }

    /// Returns whether `pg_rewind` can tell this stopped server's history from that of `source`: it goes
    /// by the number of the last timeline.
    pub(super) async fn is_told_apart(&self, source: SocketAddr) -> anyhow::Result<bool> {
        Ok(self.last_timeline()? != self.position_of(source).await?.timeline)
    }

    /// Returns the newest timeline this server has written. The control file names an older one
    /// until the first checkpoint after a promotion.
    fn last_timeline(&self) -> anyhow::Result<u32> {
        let size = self.segment_size()?;
        let files = self.wal_files()?;
        let segments = files.iter().filter_map(|name| size.segment(name));
        segments.map(|segment| segment.timeline).max().context("find this server's timeline")
    }

    /// Returns how long this server's files of WAL are: all are as long as any.
    pub(super) fn segment_size(&self) -> anyhow::Result<SegmentSize> {
        let shortest = SegmentSize::new(1).context("count in bytes")?;
        let files = self.wal_files()?;
        let any = files.iter().find(|name| shortest.segment(name).is_some());
        let any = self.wal_folder().join(any.context("find a file of WAL")?);
        let about = fs::metadata(&any).with_context(|| format!("look at {}", any.display()))?;
        SegmentSize::new(about.len()).with_context(|| format!("make sense of {}", any.display()))
    }

    async fn history_at(&self, source: SocketAddr) -> anyhow::Result<History> {
        let position = self.position_of(source).await?;
        self.history_of(source, position.timeline).await
    }

    async fn history_of(&self, source: SocketAddr, timeline: u32) -> anyhow::Result<History> {
        let text = match timeline {
            1 => String::new(),
            // A file's name and what is in it.
            _ => self.replication(source, &format!("TIMELINE_HISTORY {timeline}")).await?.remove(1),
        };
        History::read(&text, timeline).context("understand the source's history")
    }

    /// Returns whether everything this standby has, which has come to `own`, is in the history of
    /// `source`, also if that is promoted where it is now.
    pub(crate) async fn is_in_line_with(
        &self,
        source: SocketAddr,
        own: Position,
    ) -> anyhow::Result<bool> {
        let position = self.position_of(source).await?;
        let theirs = self.history_of(source, position.timeline).await?;
        Ok(self.history(own.timeline)?.is_part_of(&theirs, own.lsn, position.lsn))
    }

    /// Returns the timeline a running server is on, and how far it has come.
    pub(super) async fn position_of(&self, server: SocketAddr) -> anyhow::Result<Position> {
        let identity = self.replication(server, "IDENTIFY_SYSTEM").await?;
        let timeline = identity.get(1).and_then(|field| field.parse().ok());
        let lsn = identity.get(2).and_then(|field| parse_lsn(field));
        let position = timeline.zip(lsn).map(|(timeline, lsn)| Position { timeline, lsn });
        position.with_context(|| format!("understand where {server} is: {identity:?}"))
    }

    async fn replication(&self, server: SocketAddr, question: &str) -> anyhow::Result<Vec<String>> {
        let row = protocol::ask(server, &self.passwords.replicator, question).await?;
        ensure!(row.len() >= 2, "understand {server}'s answer to {question}: {row:?}");
        Ok(row)
    }
}

/// Returns which of these files have a stretch of WAL in them.
fn files_of(stretch: &Stretch, files: &BTreeSet<String>, size: SegmentSize) -> Vec<String> {
    let is_in = |segment: Segment| {
        segment.timeline == stretch.timeline
            && segment.number >= size.number(stretch.from)
            && stretch.to.is_none_or(|to| segment.number < size.number(to))
    };
    let has = |name: &&String| size.segment(name).is_some_and(is_in);
    files.iter().filter(has).cloned().collect()
}

/// Returns whether these files have a stretch from its beginning, without a gap. The last may end with
/// a switch to a file that was never written: a server that has stood still makes one as it goes on.
fn is_whole(stretch: &Stretch, files: &[String], size: SegmentSize) -> bool {
    let numbers = files.iter().filter_map(|name| size.segment(name)).map(|segment| segment.number);
    numbers.eq((size.number(stretch.from)..).take(files.len()))
}

/// Reads a commit of `pg_waldump`:
/// `rmgr: Transaction len (rec/tot): 34/34, tx: 745, lsn: 0/01538D58, prev 0/01538D18, desc: COMMIT
/// 2026-01-02 03:04:05.678 UTC; subxacts: 746 747`.
fn committed(line: &str) -> Option<Committed> {
    let (head, description) = line.split_once("desc: COMMIT ")?;
    let field = |name: &str| {
        let (_, rest) = head.split_once(name)?;
        rest.split(',').next().map(str::trim)
    };
    let xid = field("tx:")?.parse().ok()?;
    let lsn = parse_lsn(field("lsn:")?)?;
    let mut parts = description.split("; ");
    let at = parts.next()?.trim().to_owned();
    let subtransactions = parts
        .filter_map(|part| part.strip_prefix("subxacts: "))
        .flat_map(|numbers| numbers.split_whitespace().map_while(|number| number.parse().ok()));
    Some(Committed { xids: std::iter::once(xid).chain(subtransactions).collect(), at, lsn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_a_file_that_was_never_written_there_is_nothing() {
        const FILE: u64 = 4 * 1024 * 1024;
        let size = SegmentSize::new(FILE).unwrap();
        let all = ["000000010000000000000006", "000000010000000000000007", "00000002.history"];
        let all = all.map(ToOwned::to_owned).into();
        let beyond = |from| files_of(&Stretch { timeline: 1, from, to: None }, &all, size);
        assert_eq!(beyond(8 * FILE), [""; 0]);
        assert_eq!(beyond(8 * FILE - 1), ["000000010000000000000007"]);
        // Something is, and its beginning is gone: that is no reason to say that nothing is lost.
        assert_eq!(beyond(5 * FILE).len(), 2);
        let is_whole = |from, files: &[String]| {
            super::is_whole(&Stretch { timeline: 1, from, to: None }, files, size)
        };
        assert!(is_whole(6 * FILE + 7, &beyond(6 * FILE)));
        assert!(is_whole(8 * FILE - 1, &beyond(8 * FILE - 1)));
        assert!(!is_whole(5 * FILE, &beyond(5 * FILE)));
        let gap = ["000000010000000000000006", "000000010000000000000008"].map(ToOwned::to_owned);
        assert!(!is_whole(6 * FILE, &gap));
    }

    #[test]
    fn a_commit_is_read_with_its_subtransactions() {
        let line = "rmgr: Transaction len (rec/tot):     34/    34, tx:        745, lsn: \
                    0/01538D58, prev 0/01538D18, desc: COMMIT 2026-01-02 03:04:05.678901 UTC; \
                    subxacts: 746 747; inval msgs: catcache 80";
        let expected = Committed {
            xids: vec![745, 746, 747],
            at: "2026-01-02 03:04:05.678901 UTC".to_owned(),
            lsn: 0x0153_8D58,
        };
        assert_eq!(committed(line), Some(expected));
        assert_eq!(committed("rmgr: Transaction … desc: ABORT 2026-01-02"), None);
    }
}
