use serde::Deserialize;
use serde_json::Value;

use super::{List, moment, read};
use crate::table::Table;

#[derive(Deserialize)]
struct Entry {
    at_unix_ms: u64,
    who: String,
    vantage: String,
    what: String,
    #[serde(default)]
    cell: String,
    reason: Option<String>,
    outcome: Option<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    body: Value,
}

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<Entry> { data } = read(answer)?;
    let mut table = Table::new(&["WHEN", "WHO", "WHAT", "CELL", "IN", "OUTCOME", "REASON"]);
    for entry in data {
        let outcome = entry.outcome.map_or_else(
            || "goes on".to_owned(),
            |outcome| {
                let code = outcome.body["code"].as_str().unwrap_or("done");
                format!("{} {code}", outcome.status)
            },
        );
        table.row([
            moment(entry.at_unix_ms),
            entry.who,
            entry.what,
            entry.cell,
            entry.vantage,
            outcome,
            entry.reason.unwrap_or_default(),
        ]);
    }
    Ok(table.text("Nobody has done anything."))
}
