//! Answers as people read them, one file for each thing.

pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod cells;
pub(crate) mod drills;
pub(crate) mod events;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod freeze;
pub(crate) mod operations;
pub(crate) mod preview;
pub(crate) mod regions;
pub(crate) mod sites;
pub(crate) mod vantages;

use anyhow::Context as _;
use runtime::moment::Moment;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is not there, in a table.
const NONE: &str = "-";

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
}

/// Reads what is shown out of an answer.
fn read<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<T> {
    T::deserialize(answer).context("understand the answer; is the control plane another version")
}

/// Writes a moment to the second, in UTC.
fn moment(unix_ms: u64) -> String {
    let text = Moment::from_unix_millis(unix_ms).to_string();
    format!("{}Z", text.split(['.', '+']).next().unwrap_or(&text))
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

/// Writes a duration as people say it.
fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    match (millis, seconds) {
        (..1000, _) => format!("{millis} ms"),
        (_, ..120) => format!("{seconds} s"),
        (_, ..7200) => format!("{} min", seconds / 60),
        (_, _) => format!("{} h", seconds / 3600),
    }
}

fn bytes(count: u64) -> String {
    match count {
        ..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_say_them() {
        assert_eq!(moment(1_795_386_085_250), "2026-11-22 22:21:25Z");
        assert_eq!([time(412), time(90_000), time(600_000)], ["412 ms", "90 s", "10 min"]);
        assert_eq!([bytes(0), bytes(2048), bytes(16 << 20)], ["0 B", "2 KiB", "16 MiB"]);
    }
}
