use serde::Deserialize;
use serde_json::Value;

use super::{NONE, moment, or_none, read, time};
use crate::table::Table;

#[derive(Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: String,
    kind: String,
    cell: Option<String>,
    region: Option<String>,
    status: String,
    why: Option<String>,
    who: String,
    reason: Option<String>,
    cancelled_by: Option<String>,
    pub(crate) asked_unix_ms: u64,
    waits_for: Option<String>,
    wave: Option<usize>,
    steps_ended: usize,
    steps: usize,
    eta_ms: Option<u64>,
    ended_unix_ms: Option<u64>,
    waves: Vec<Vec<Step>>,
    /// Whether etcd does not answer, and it may have ended since it was so.
    remembered: Option<bool>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "do")]
    what: String,
    cell: Option<String>,
    from: Option<String>,
    to: Option<String>,
    state: String,
    took_ms: Option<u64>,
    hold_ms: Option<u64>,
    why: Option<String>,
}

impl Operation {
    pub(crate) fn read(answer: &Value) -> anyhow::Result<Self> {
        read(answer)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended_unix_ms.is_some()
    }

    /// Returns whether an operation that has ended did what it was begun for.
    pub(crate) fn outcome(&self) -> Result<(), String> {
        if self.status == "done" {
            return Ok(());
        }
        let why = self.why.as_deref().unwrap_or("somebody cancelled it");
        Err(format!("{} {}: {}, {why}", self.kind, self.subject(), self.status))
    }

    /// Returns what it is about: `east`, `c1@east`, or `c1`.
    fn subject(&self) -> String {
        match (&self.cell, &self.region) {
            (Some(cell), Some(region)) => format!("{cell}@{region}"),
            (Some(about), None) | (None, Some(about)) => about.clone(),
            (None, None) => NONE.to_owned(),
        }
    }
}

/// Says how far it is, in a line.
pub(crate) fn progress(operation: &Operation) -> String {
    let Operation { kind, status, wave, steps_ended, steps, waves, .. } = operation;
    let mut text = format!("{kind} {}: {status}", operation.subject());
    if let Some(wave) = wave {
        text = format!("{text}, wave {} of {}", wave + 1, waves.len());
    }
    text = format!("{text}, {steps_ended} of {steps} steps");
    if let Some(eta) = operation.eta_ms {
        text = format!("{text}, about {} left", time(eta));
    }
    if let Some(who) = &operation.cancelled_by {
        text = format!("{text}; cancelled by {who}");
    }
    if let Some(waits_for) = &operation.waits_for {
        text = format!("{text}; waits for {waits_for}");
    }
    if let Some(why) = &operation.why {
        text = format!("{text}; {why}");
    }
    if operation.remembered == Some(true) {
        text = format!("{text}; as it was when etcd was last read: it does not answer");
    }
    text
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Operation>,
    with_ended: Option<bool>,
}

pub(crate) fn list(answer: &Value) -> anyhow::Result<String> {
    let Listed { data, with_ended } = read(answer)?;
    let mut table =
        Table::new(&["OPERATION", "WHAT", "WHERE", "STATUS", "STEPS", "LEFT", "WHO", "ASKED"]);
    for operation in data {
        table.row([
            operation.id.clone(),
            operation.kind.clone(),
            operation.subject(),
            operation.status,
            format!("{}/{}", operation.steps_ended, operation.steps),
            or_none(operation.eta_ms.map(time)),
            operation.who,
            moment(operation.asked_unix_ms),
        ]);
    }
    if with_ended == Some(false) {
        let going_on = table.text("None went on.");
        let why = "Only those that went on when etcd was last read: it does not answer.";
        return Ok(format!("{going_on}\n{why}"));
    }
    Ok(table.text("There was no operation."))
}

pub(crate) fn one(answer: &Value) -> anyhow::Result<String> {
    let operation: Operation = read(answer)?;
    let mut table = Table::new(&["WAVE", "STEP", "STATE", "TOOK", "HELD", "WHY"]);
    for (wave, steps) in operation.waves.iter().enumerate() {
        for step in steps {
            table.row([
                (wave + 1).to_string(),
                done(step),
                step.state.clone(),
                or_none(step.took_ms.map(time)),
                or_none(step.hold_ms.map(time)),
                step.why.clone().unwrap_or_default(),
            ]);
        }
    }
    let (who, asked) = (&operation.who, moment(operation.asked_unix_ms));
    let mut head =
        format!("{}  {}\n  asked by {who} at {asked}", operation.id, progress(&operation));
    if let Some(reason) = &operation.reason {
        head = format!("{head}: {reason}");
    }
    Ok(format!("{head}\n\n{}", table.text("It has no step.")))
}

fn done(step: &Step) -> String {
    let what = &step.what;
    match (&step.cell, &step.from, &step.to) {
        (Some(cell), Some(from), Some(to)) => format!("{what} {cell} from {from} to {to}"),
        (Some(cell), None, Some(to)) => format!("{what} {cell}@{to}"),
        (Some(cell), _, None) => format!("{what} {cell}"),
        (None, _, to) => format!("{what} {}", or_none(to.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_state_is_told_with_its_reason_and_progress() {
        for (more, expected) in [
            (json!({ "status": "running", "wave": 0 }), "running, wave 1 of 1, 0 of 1 steps"),
            (
                json!({ "status": "running", "waits_for": "c1 to be ready" }),
                "running, 0 of 1 steps; waits for c1 to be ready",
            ),
            (
                json!({ "status": "running", "cancelled_by": "otto" }),
                "running, 0 of 1 steps; cancelled by otto",
            ),
            (
                json!({ "status": "cancelled", "cancelled_by": "otto" }),
                "cancelled, 0 of 1 steps; cancelled by otto",
            ),
            (
                json!({ "status": "failed", "why": "c1 can go nowhere" }),
                "failed, 0 of 1 steps; c1 can go nowhere",
            ),
            (json!({ "status": "done", "steps_ended": 1 }), "done, 1 of 1 steps"),
            (
                json!({ "status": "running", "remembered": true }),
                "running, 0 of 1 steps; as it was when etcd was last read: it does not answer",
            ),
        ] {
            let mut told = json!({
                "id": "op-000001", "kind": "evacuate", "region": "east", "who": "ada",
                "asked_unix_ms": 1, "steps_ended": 0, "steps": 1, "waves": [[]],
            });
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let operation = Operation::read(&told).unwrap();
            assert_eq!(progress(&operation), format!("evacuate east: {expected}"));
        }
    }
}
