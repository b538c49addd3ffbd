use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::vantages::{Sight, explained, sight};
use super::{NONE, moment, read, time};
use crate::table::Table;

#[derive(Deserialize)]
struct Evidence {
    cell: String,
    epoch: u64,
    phase: String,
    vantage: String,
    verdict: String,
    since_unix_ms: Option<u64>,
    against: BTreeMap<String, Against>,
    held: Option<String>,
    lease_age_ms: Option<u64>,
    sites: BTreeMap<String, Column>,
    /// Missing while etcd does not answer.
    history: Option<Vec<Noted>>,
}

#[derive(Deserialize)]
struct Against {
    what: String,
    since_unix_ms: u64,
}

#[derive(Deserialize)]
struct Column {
    agreed: Option<Agreed>,
    flapping: bool,
    seen_from: BTreeMap<String, Sight>,
}

#[derive(Deserialize)]
struct Agreed {
    health: String,
    by: usize,
    of: usize,
}

#[derive(Deserialize)]
struct Noted {
    at_unix_ms: u64,
    vantage: String,
    what: String,
    reason: String,
}

pub(crate) fn text(answer: &Value) -> anyhow::Result<String> {
    let told: Evidence = read(answer)?;
    let Evidence { cell, epoch, phase, vantage, verdict, .. } = &told;
    let mut text = format!("{cell} is {phase} under epoch {epoch}; {vantage} judges: {verdict}");
    if let Some(since) = told.since_unix_ms {
        text = format!("{text} since {}", moment(since));
    }
    if let Some(age) = told.lease_age_ms {
        text = format!("{text}\n  its lease was renewed {} ago", time(age));
    }
    if let Some(held) = &told.held {
        text = format!("{text}\n  it is left there: {held}");
    }
    let mut against = Table::new(&["AGAINST", "SINCE", "WHAT"]);
    for (kind, Against { what, since_unix_ms }) in &told.against {
        against.row([kind.clone(), moment(*since_unix_ms), what.clone()]);
    }
    let against = against.text("Nothing speaks against its active site.");
    Ok(format!("{text}\n\n{against}\n\n{}\n\n{}", seen(&told.sites), noted(told.history)))
}

/// A row for each site, a column for each vantage.
fn seen(sites: &BTreeMap<String, Column>) -> String {
    let vantages: BTreeSet<&String> = sites.values().flat_map(|it| it.seen_from.keys()).collect();
    let from: Vec<String> = vantages.iter().map(|vantage| format!("FROM {vantage}")).collect();
    let heads = ["SITE", "AGREED"].into_iter().chain(from.iter().map(String::as_str));
    let mut table = Table::new(&heads.collect::<Vec<_>>());
    for (region, column) in sites {
        let agreed = match (&column.agreed, column.flapping) {
            (Some(Agreed { health, by, of }), _) => format!("{health}, {by} of {of}"),
            (None, true) => "comes and goes".to_owned(),
            (None, false) => NONE.to_owned(),
        };
        let seen = vantages.iter().map(|vantage| sight(column.seen_from.get(*vantage)));
        table.row([region.clone(), agreed].into_iter().chain(seen));
    }
    let sights = sites.values().flat_map(|site| site.seen_from.values());
    explained(table.text("It has no site."), sights)
}

fn noted(history: Option<Vec<Noted>>) -> String {
    let Some(history) = history else {
        return "What was noted cannot be read: etcd does not answer.".to_owned();
    };
    let mut table = Table::new(&["WHEN", "BY", "WHAT", "WHY"]);
    for Noted { at_unix_ms, vantage, what, reason } in history {
        table.row([moment(at_unix_ms), vantage, what, reason]);
    }
    table.text("Nothing was noted or decided of late.")
}
