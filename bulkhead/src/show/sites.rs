use serde::Deserialize;
use serde_json::Value;

use super::cells::{SITE_HEADS, Site, row};
use super::{List, read};
use crate::table::Table;

#[derive(Deserialize)]
struct CellSite {
    cell: String,
    #[serde(flatten)]
    site: Site,
}

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<CellSite> { data } = read(answer)?;
    let mut table = Table::new(&SITE_HEADS);
    for CellSite { cell, site } in data {
        let name = format!("{cell}@{}", site.region);
        table.row(row(name, site));
    }
    Ok(table.text("There are no sites."))
}
