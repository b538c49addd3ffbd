use serde::Deserialize;
use serde_json::Value;

use super::{List, NONE, moment, read};

#[derive(Deserialize)]
struct Kept {
    name: String,
    #[serde(flatten)]
    event: Event,
}

#[derive(Deserialize)]
pub(crate) struct Event {
    at_unix_ms: u64,
    cell: Option<String>,
    pub(crate) operation: Option<String>,
    region: Option<String>,
    epoch: Option<u64>,
    reason: String,
    evidence: String,
}

/// The newest comes last, as it would when they are followed.
pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<Kept> { data } = read(answer)?;
    if data.is_empty() {
        return Ok("Nothing has happened since this control plane started.".to_owned());
    }
    let lines = data.iter().rev().map(|kept| line(&kept.name, &kept.event));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

pub(crate) fn line(name: &str, event: &Event) -> String {
    let Event { at_unix_ms, cell, operation, region, epoch, reason, evidence } = event;
    let place = match (cell, region) {
        (Some(cell), Some(region)) => format!("{cell}@{region}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => NONE.to_owned(),
    };
    let of = epoch.map(|epoch| format!("epoch {epoch}")).or_else(|| operation.clone());
    let told = [reason.as_str(), evidence.as_str()];
    let told: Vec<&str> = told.into_iter().filter(|text| !text.is_empty()).collect();
    let (of, told) = (of.unwrap_or_default(), told.join("; "));
    format!("{}  {name:<18} {place:<14} {of}  {told}", moment(*at_unix_ms))
}
