//! What the cells have noted of each write of a run, in the transaction that made it: who, under which epoch, and
//! where the log was then. A row is noted with the write's `Idempotency-Key`, and kept as long as that is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use topology::{CellId, Epoch, SiteId};

/// What a database has noted of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LedgerRead {
    Rows(Vec<Noted>),
    Unread(String),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Noted {
    /// `None` where a program of an earlier version wrote, which does not say.
    pub(crate) by: Option<By>,
    pub(crate) key: String,
    /// The operation; none of what users were given before the load.
    pub(crate) number: Option<u32>,
    pub(crate) slot: u16,
    /// The hash of what was asked for, in hexadecimal digits.
    pub(crate) payload: String,
}

/// Who wrote. Compared by the place first: that is the order of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct By {
    /// Where the log was, in bytes. A write of a later epoch comes later: whoever is promoted goes on from
    /// behind everything that its history has.
    pub(crate) lsn: u64,
    pub(crate) epoch: Epoch,
    pub(crate) site: SiteId,
}

/// Returns the rows as lines of JSON, each once with the databases that have it, by cell and place in the log.
pub(crate) fn ledger_jsonl(read: &BTreeMap<SiteId, LedgerRead>) -> String {
    let mut rows: BTreeMap<(&CellId, &Noted), BTreeSet<&SiteId>> = BTreeMap::new();
    for (site, read) in read {
        let LedgerRead::Rows(noted) = read else { continue };
        for row in noted {
            rows.entry((&site.cell, row)).or_default().insert(site);
        }
    }
    let mut text = String::new();
    for ((cell, row), databases) in rows {
        let databases: Vec<String> = databases.into_iter().map(ToString::to_string).collect();
        let by = row.by.as_ref();
        let line = json!({
            "cell": cell.as_str(),
            "slot": row.slot,
            "epoch": by.map(|by| by.epoch.0),
            "writer": by.map(|by| by.site.to_string()),
            "commit_seq": by.map(|by| place(by.lsn)),
            "idem_key": row.key,
            "op_id": row.number,
            "payload": row.payload,
            "databases": databases,
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

/// Returns a place in the log as PostgreSQL writes it.
pub(crate) fn place(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_once_with_every_database_that_has_it_in_the_order_of_the_log() {
        let noted = |key: &str, lsn| Noted {
            by: Some(By { lsn, epoch: Epoch(7), site: "c1@east".parse().unwrap() }),
            key: key.to_owned(),
            number: Some(3),
            slot: 47,
            payload: "0a".to_owned(),
        };
        let old = Noted { by: None, number: None, ..noted("r/v1/tickets/ada", 0) };
        let everything = vec![noted("r/3", 0x1_0000_00A0), noted("r/4", 0x20), old];
        let read = BTreeMap::from([
            ("c1@east".parse().unwrap(), LedgerRead::Rows(everything)),
            ("c1@north".parse().unwrap(), LedgerRead::Rows(vec![noted("r/4", 0x20)])),
            ("c1@south".parse().unwrap(), LedgerRead::Unread("it is away".to_owned())),
        ]);
        let lines = ledger_jsonl(&read);
        let told: Vec<String> = lines
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let of = |key: &str| line[key].to_string().replace('"', "");
                ["idem_key", "epoch", "writer", "commit_seq", "op_id", "databases"]
                    .map(of)
                    .join(" ")
            })
            .collect();
        let expected = [
            "r/v1/tickets/ada null null null null [c1@east]",
            "r/4 7 c1@east 0/20 3 [c1@east,c1@north]",
            "r/3 7 c1@east 1/A0 3 [c1@east]",
        ];
        assert_eq!(told, expected);
    }
}
