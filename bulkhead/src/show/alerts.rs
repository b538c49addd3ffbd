use serde::Deserialize;
use serde_json::Value;

use super::{List, moment, or_none, read};
use crate::table::Table;

#[derive(Deserialize)]
struct Alert {
    name: String,
    #[serde(default)]
    cell: Option<String>,
    region: Option<String>,
    detail: String,
    since_unix_ms: u64,
    way_out: Option<String>,
}

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<Alert> { data } = read(answer)?;
    let mut table = Table::new(&["SINCE", "ALERT", "CELL", "REGION", "DETAIL"]);
    for alert in data {
        let detail = alert
            .way_out
            .map_or(alert.detail.clone(), |way_out| format!("{}; {way_out}", alert.detail));
        let (cell, region) = (or_none(alert.cell), or_none(alert.region));
        table.row([moment(alert.since_unix_ms), alert.name, cell, region, detail]);
    }
    Ok(table.text("Nothing needs a person."))
}
