use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{List, NONE, bytes, moment, or_none, read, time};
use crate::table::Table;

#[derive(Deserialize)]
struct Cell {
    id: String,
    epoch: u64,
    phase: String,
    active: Option<String>,
    target: Option<String>,
    voters: Vec<String>,
    reason: String,
    slots: u64,
    redundant: bool,
    at_risk: bool,
    frozen: Option<Frozen>,
    sites: Vec<Site>,
}

#[derive(Deserialize)]
struct Frozen {
    why: String,
    since_unix_ms: u64,
    way_out: String,
}

#[derive(Deserialize)]
pub(super) struct Site {
    pub(super) region: String,
    role: String,
    tenure: Option<String>,
    postgres: Option<String>,
    lag_bytes: Option<u64>,
    reachable: bool,
    votes: bool,
    alerts: BTreeMap<String, Value>,
}

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<Cell> { data } = read(answer)?;
    let mut table =
        Table::new(&["CELL", "ACTIVE", "PHASE", "EPOCH", "STANDBYS", "LAG", "STATE", "SLOTS"]);
    for cell in data {
        let standbys = cell.sites.iter().filter(|site| site.role != "active");
        let names: Vec<&str> = standbys.clone().map(|site| site.region.as_str()).collect();
        let lag = standbys.filter_map(|site| site.lag_bytes).max();
        table.row([
            cell.id.clone(),
            or_none(cell.active.clone()),
            phase(&cell),
            cell.epoch.to_string(),
            names.join(", "),
            or_none(lag.map(bytes)),
            state(&cell).to_owned(),
            cell.slots.to_string(),
        ]);
    }
    Ok(table.text("There are no cells."))
}

pub(crate) fn one(answer: &Value) -> anyhow::Result<String> {
    let cell: Cell = read(answer)?;
    let active = cell.active.as_deref().unwrap_or("nowhere");
    let mut text = format!(
        "{} is {} in {active} under epoch {}: {}\n  {}\n",
        cell.id,
        phase(&cell),
        cell.epoch,
        state(&cell),
        cell.reason
    );
    if let Some(Frozen { why, since_unix_ms, way_out }) = &cell.frozen {
        let since = moment(*since_unix_ms);
        text = format!("{text}  frozen since {since}: {why}\n  {way_out}\n");
    }
    text = format!("{text}  voters: {}\n\n", cell.voters.join(", "));
    let mut table = Table::new(&SITE_HEADS);
    for site in cell.sites {
        table.row(row(site.region.clone(), site));
    }
    Ok(text + &table.text("It has no site."))
}

pub(super) const SITE_HEADS: [&str; 8] =
    ["SITE", "ROLE", "TENURE", "POSTGRES", "LAG", "VOTES", "ANSWERS", "ALERTS"];

/// Returns a site's row under a name.
pub(super) fn row(name: String, site: Site) -> [String; 8] {
    let alerts: Vec<String> = site.alerts.into_keys().collect();
    [
        name,
        site.role,
        or_none(site.tenure),
        or_none(site.postgres),
        or_none(site.lag_bytes.map(bytes)),
        yes(site.votes),
        yes(site.reachable),
        if alerts.is_empty() { NONE.to_owned() } else { alerts.join(", ") },
    ]
}

#[derive(Deserialize)]
struct Moved {
    cell: String,
    from: Option<String>,
    to: String,
    epoch: u64,
    took_ms: u64,
    gives_up: Option<GivesUp>,
}

#[derive(Deserialize)]
struct GivesUp {
    acknowledged_writes: bool,
    unheard: Vec<String>,
}

pub(crate) fn moved(answer: &Value) -> anyhow::Result<String> {
    let Moved { cell, from, to, epoch, took_ms, gives_up } = read(answer)?;
    let from = from.map_or_else(String::new, |from| format!(" from {from}"));
    let text = format!("{cell} moved{from} to {to} under epoch {epoch}, in {}", time(took_ms));
    Ok(match gives_up {
        Some(given) if given.acknowledged_writes => format!(
            "{text}\nAcknowledged writes may be lost: {} could not be asked. See `bulkhead cell {cell} \
             lost-writes` once it is back.",
            given.unheard.join(" and ")
        ),
        Some(_) | None => text,
    })
}

#[derive(Deserialize)]
struct LostWrites {
    data: Vec<Lost>,
    unreachable: Vec<String>,
}

#[derive(Deserialize)]
struct Lost {
    region: String,
    epoch: u64,
    transactions: u64,
    writes: Vec<Value>,
    last_at: Option<String>,
}

pub(crate) fn lost_writes(answer: &Value) -> anyhow::Result<String> {
    let LostWrites { data, unreachable } = read(answer)?;
    let mut table = Table::new(&["SITE", "EPOCH", "TRANSACTIONS", "ROWS", "LAST"]);
    for lost in data {
        table.row([
            lost.region,
            lost.epoch.to_string(),
            lost.transactions.to_string(),
            lost.writes.len().to_string(),
            or_none(lost.last_at),
        ]);
    }
    let text = table.text("No site reports a lost write.");
    let silent = unreachable.join(" and ");
    Ok(if silent.is_empty() { text } else { format!("{text}\nNot asked: {silent}.") })
}

fn phase(cell: &Cell) -> String {
    match &cell.target {
        Some(target) => format!("{} to {target}", cell.phase),
        None => cell.phase.clone(),
    }
}

/// The worst there is to say, in a word.
fn state(cell: &Cell) -> &'static str {
    match cell {
        Cell { frozen: Some(_), .. } => "FROZEN",
        Cell { at_risk: true, .. } => "AT RISK",
        Cell { redundant: true, .. } => "redundant",
        Cell { .. } => "not redundant",
    }
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}
