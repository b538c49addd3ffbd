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
    history: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    epoch: u64,
    active: String,
    begun_unix_ms: u64,
    opened_unix_ms: u64,
    reason: String,
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
    let mut table = Table::new(&["OPENED", "EPOCH", "ACTIVE", "MOVED IN", "WHY"]);
    for entry in told.history {
        let took = entry.opened_unix_ms.saturating_sub(entry.begun_unix_ms);
        let opened = moment(entry.opened_unix_ms);
        table.row([opened, entry.epoch.to_string(), entry.active, time(took), entry.reason]);
    }
    Ok(format!("{text}\n\n{}", table.text("Its history cannot be read now.")))
}
