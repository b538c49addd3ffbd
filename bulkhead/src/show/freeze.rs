use serde::Deserialize;
use serde_json::Value;

use super::{moment, read};

#[derive(Deserialize)]
struct Freeze {
    frozen: bool,
    until_unix_ms: Option<u64>,
}

pub(crate) fn text(answer: &Value) -> anyhow::Result<String> {
    let Freeze { frozen, until_unix_ms } = read(answer)?;
    Ok(match (frozen, until_unix_ms) {
        (false, _) => "Cells are moved again.".to_owned(),
        (true, None) => "Nothing is moved any more, until `bulkhead unfreeze`.".to_owned(),
        (true, Some(until)) => format!("Nothing is moved any more, until {}.", moment(until)),
    })
}
