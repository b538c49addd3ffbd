use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::{moment, or_none, read, time};
use crate::table::Table;

#[derive(Deserialize)]
struct Explained {
    user: String,
    slot: u16,
    cell: String,
    at_unix_ms: u64,
    state: String,
    epoch: u64,
    active: Option<String>,
    gateway: Option<String>,
    since_unix_ms: Option<u64>,
    until_unix_ms: Option<u64>,
    why: String,
    cause: Option<Cause>,
    link: Option<String>,
    /// Missing while etcd does not answer.
    history: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    epoch: u64,
    active: String,
    begun_unix_ms: u64,
    opened_unix_ms: u64,
    reason: String,
    cause: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    kind: String,
    operation: Option<String>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operation {
            Some(id) => write!(f, "{} {id}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

pub(crate) fn text(answer: &Value) -> anyhow::Result<String> {
    let told: Explained = read(answer)?;
    let Explained { user, slot, cell, epoch, .. } = &told;
    let mut text = format!("{user} → slot {slot} → {cell} → {}", or_none(told.active.clone()));
    if let Some(gateway) = &told.gateway {
        text = format!("{text} ({gateway})");
    }
    let at = moment(told.at_unix_ms);
    text = format!("{text}\n  at {at} under epoch {epoch}, {}", told.state);
    for (word, unix_ms) in [("since", told.since_unix_ms), ("until", told.until_unix_ms)] {
        if let Some(unix_ms) = unix_ms {
            text = format!("{text}, {word} {}", moment(unix_ms));
        }
    }
    text = format!("{text}\n  {}", told.why);
    if let Some(cause) = &told.cause {
        text = format!("{text}\n  moved by {cause}, see {}", or_none(told.link));
    }
    let Some(history) = told.history else {
        return Ok(format!("{text}\n\nIts history cannot be read: etcd does not answer."));
    };
    let mut table = Table::new(&["OPENED", "EPOCH", "ACTIVE", "MOVED IN", "MOVED BY", "WHY"]);
    for entry in history {
        let took = entry.opened_unix_ms.saturating_sub(entry.begun_unix_ms);
        let opened = moment(entry.opened_unix_ms);
        let (epoch, cause) = (entry.epoch.to_string(), entry.cause.map(|cause| cause.to_string()));
        table.row([opened, epoch, entry.active, time(took), or_none(cause), entry.reason]);
    }
    Ok(format!("{text}\n\n{}", table.text("Nothing is recorded of it yet.")))
}
