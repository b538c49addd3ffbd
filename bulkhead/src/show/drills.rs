use serde_json::Value;
use topology::wire::drill::{DrillRecord, Took};

use super::{List, NONE, moment, read};
use crate::table::Table;

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let List::<DrillRecord> { data } = read(answer)?;
    let mut table = Table::new(&[
        "WHEN",
        "DRILL",
        "VERDICT",
        "RECOVERED",
        "NOTICED",
        "REDUNDANT",
        "LOST",
        "FAILED",
        "HELD",
        "WHY",
    ]);
    for run in data {
        table.row([
            moment(run.begun_unix_ms),
            run.drill,
            run.verdict.name().to_owned(),
            took(run.recover_99_ms),
            took(run.detect_ms),
            took(run.redundancy_restored_ms),
            format!("{}/{}", count(run.strong_lost), count(run.weak_lost)),
            count(run.failed),
            run.held.to_string(),
            run.reasons.into_iter().next().unwrap_or_default(),
        ]);
    }
    Ok(table.text("No drill has been run."))
}

fn took(took: Option<Took>) -> String {
    match took {
        None => NONE.to_owned(),
        Some(Took::Never(_)) => "never".to_owned(),
        Some(Took::Millis(millis)) => format!("{}.{:02} s", millis / 1000, millis % 1000 / 10),
    }
}

/// What nobody saw is no number.
fn count(count: Option<u64>) -> String {
    count.map_or_else(|| NONE.to_owned(), |count| count.to_string())
}
