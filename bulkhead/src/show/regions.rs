use serde::Deserialize;
use serde_json::Value;

use super::{List, NONE, read};
use crate::table::Table;

#[derive(Deserialize)]
struct Region {
    id: String,
    name: String,
    active: Vec<String>,
    standby: Vec<String>,
    sites_reachable: u64,
    sites: u64,
    #[serde(default)]
    drained: bool,
}

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<Region> { data } = read(answer)?;
    let mut table = Table::new(&["REGION", "NAME", "ACTIVE", "STANDBY", "SITES", "STATE"]);
    for region in data {
        let names = |cells: Vec<String>| {
            if cells.is_empty() { NONE.to_owned() } else { cells.join(", ") }
        };
        table.row([
            region.id,
            region.name,
            names(region.active),
            names(region.standby),
            format!("{}/{} answer", region.sites_reachable, region.sites),
            if region.drained { "DRAINED" } else { NONE }.to_owned(),
        ]);
    }
    Ok(table.text("There are no regions."))
}
