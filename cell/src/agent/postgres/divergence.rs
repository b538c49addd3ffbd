//! What a former primary has written that the cell's history went on without: where it left the
//! history, and which transactions lie beyond.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};

use super::Postgres;
use super::position::parse_lsn;

/// WAL that belongs to nobody's history but this site's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) timeline: u32,
    /// Where the cell's history left this timeline.
    pub(crate) fork: u64,
    pub(crate) transactions: Vec<Committed>,
    /// Where the last of them ends, or the fork if there is none.
    pub(crate) end: u64,
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
    /// Compares this stopped server's WAL with the history of `source`. `None` if this timeline is
    /// still the source's own.
    pub(crate) async fn divergence(
        &self,
        source: SocketAddr,
    ) -> anyhow::Result<Option<Divergence>> {
        let timeline = self.last_timeline()?;
        let Some(fork) = self.fork(source, timeline).await? else { return Ok(None) };
        let told = self
            .binaries
            .dump("pg_waldump", |command| {
                command.arg("--path").arg(self.wal_folder());
                command.args(["--rmgr", "Transaction", "--timeline", &timeline.to_string()]);
                command.args(["--start", &format!("{:X}/{:X}", fork >> 32, fork & 0xFFFF_FFFF)]);
            })
            .await?;
        let transactions: Vec<Committed> =
            told.lines().filter_map(committed).filter(|commit| commit.lsn >= fork).collect();
        let end = transactions.last().map_or(fork, |last| last.lsn);
        Ok(Some(Divergence { timeline, fork, transactions, end }))
    }

    /// Returns the newest timeline this server has written. The control file names an older one
    /// until the first checkpoint after a promotion.
    pub(super) fn last_timeline(&self) -> anyhow::Result<u32> {
        let segments = self.segments()?;
        let newest =
            segments.iter().filter_map(|name| u32::from_str_radix(&name[..8], 16).ok()).max();
        newest.context("find this server's timeline in its WAL")
    }

    /// Returns the names of the WAL's segments, in order.
    pub(crate) fn segments(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.wal_folder();
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let name = entry.context("read the WAL's folder")?.file_name();
            let name = name.to_string_lossy();
            if name.len() == 24 && name.chars().all(|digit| digit.is_ascii_hexdigit()) {
                names.push(name.into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns where the source's history left `timeline`; `None` if it is still on it.
    pub(super) async fn fork(
        &self,
        source: SocketAddr,
        timeline: u32,
    ) -> anyhow::Result<Option<u64>> {
        let identity = self.replication_command(source, "IDENTIFY_SYSTEM").await?;
        let current = identity.split('|').nth(1).and_then(|field| field.trim().parse().ok());
        let current: u32 = current.context("read the source's timeline")?;
        if current == timeline {
            return Ok(None);
        }
        ensure!(
            current > timeline,
            "find timeline {timeline} in the history of timeline {current}"
        );
        let history =
            self.replication_command(source, &format!("TIMELINE_HISTORY {current}")).await?;
        let left = fork_of(&history, timeline);
        left.map(Some).with_context(|| format!("find where timeline {timeline} was left"))
    }

    async fn replication_command(&self, source: SocketAddr, ask: &str) -> anyhow::Result<String> {
        let server = format!(
            "host={} port={} user=replicator replication=true connect_timeout=2",
            source.ip(),
            source.port()
        );
        self.binaries
            .run("psql", |command| {
                self.tool_environment(command);
                command.args(["--no-psqlrc", "--tuples-only", "--no-align", "--field-separator=|"]);
                command.arg(&server).args(["--command", ask]);
            })
            .await
            .with_context(|| format!("ask the source: {ask}"))
    }
}

/// Reads `3 0/6A1E3B8 no recovery target specified` (with tabs) of a timeline's history.
fn fork_of(history: &str, timeline: u32) -> Option<u64> {
    history.lines().find_map(|line| {
        // psql puts the file's name before its first line.
        let line = line.rsplit_once('|').map_or(line, |(_, content)| content);
        let mut fields = line.split_whitespace();
        let left: u32 = fields.next()?.parse().ok()?;
        let lsn = fields.next()?;
        (left == timeline).then(|| parse_lsn(lsn)).flatten()
    })
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
    fn a_history_says_where_each_timeline_was_left() {
        let history = "00000003.history|1\t0/3000148\tno recovery target specified\n\n\
                       2\t1/A0\tno recovery target specified\n";
        assert_eq!(fork_of(history, 1), Some(0x0300_0148));
        assert_eq!(fork_of(history, 2), Some(0x1_0000_00A0));
        assert_eq!(fork_of(history, 3), None);
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
