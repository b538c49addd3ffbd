use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{NONE, or_none, read, time};
use crate::table::Table;

#[derive(Deserialize)]
struct Vantages {
    vantage: String,
    data: Vec<Vantage>,
}

#[derive(Deserialize)]
struct Vantage {
    id: String,
    age_ms: Option<u64>,
    fresh: bool,
    blind_to: Vec<String>,
    sites: BTreeMap<String, Sight>,
}

/// What a vantage sees of a site.
#[derive(Deserialize)]
pub(super) struct Sight {
    health: String,
    counts: bool,
}

/// The matrix: a row for each vantage, a column for each site.
pub(crate) fn matrix(answer: &Value) -> anyhow::Result<String> {
    let Vantages { vantage, data } = read(answer)?;
    let sites: BTreeSet<&String> = data.iter().flat_map(|row| row.sites.keys()).collect();
    let heads =
        ["VANTAGE", "HEARD", "COUNTS"].into_iter().chain(sites.iter().map(|id| id.as_str()));
    let mut table = Table::new(&heads.collect::<Vec<_>>());
    for row in &data {
        let heard = or_none(row.age_ms.map(|age| format!("{} ago", time(age))));
        let counts = match row.blind_to.as_slice() {
            [] => if row.fresh { "yes" } else { "no" }.to_owned(),
            regions => format!("no, blind to {}", regions.join(", ")),
        };
        let seen = sites.iter().map(|site| sight(row.sites.get(*site)));
        table.row([row.id.clone(), heard, counts].into_iter().chain(seen));
    }
    let text = format!("As {vantage} has heard:\n{}", table.text("Nobody has told what it sees."));
    Ok(explained(text, data.iter().flat_map(|row| row.sites.values())))
}

/// Says under a table what brackets mean, if there are some in it.
pub(super) fn explained<'a>(table: String, mut sights: impl Iterator<Item = &'a Sight>) -> String {
    if sights.all(|sight| sight.counts) { table } else { format!("{table}\n(…) is not counted.") }
}

/// Writes what is seen, in brackets where it does not count.
pub(super) fn sight(sight: Option<&Sight>) -> String {
    match sight {
        None => NONE.to_owned(),
        Some(Sight { health, counts: true }) => health.clone(),
        Some(Sight { health, counts: false }) => format!("({health})"),
    }
}
