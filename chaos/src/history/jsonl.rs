//! History and events as lines of JSON, in Jepsen's words.

use std::time::Duration;

use serde_json::{Value, json};

use super::process::processes;
use super::{Clock, Effect, Event, Operation, Outcome, Served, Step, StreamStep, User, mark};
use crate::fault::Injection;

/// Returns an `invoke` and a completion per operation, what became of streams and what was done to the
/// platform, by time.
pub(crate) fn history_jsonl(
    run: &str,
    clock: &Clock,
    users: &[User],
    operations: &[Operation],
    streams: &[StreamStep],
    injections: &[Injection],
) -> String {
    let count = operations.len() * 2 + streams.len() + 2;
    let mut lines: Vec<(Duration, Value)> = Vec::with_capacity(count);
    for (operation, process) in operations.iter().zip(processes(operations, users.len())) {
        let user = &users[operation.user];
        for (at, mut line) in [
            (operation.sent, invoke(run, user, operation)),
            (operation.ended, completion(run, user, operation)),
        ] {
            line["process"] = json!(process);
            lines.push((at, line));
        }
    }
    lines.extend(streams.iter().map(|step| (step.at, of_stream(&users[step.user], step))));
    for injection in injections {
        lines.extend(injection.steps.iter().map(|(at, step)| {
            (
                *at,
                json!({ "process": "nemesis", "type": "info", "f": injection.kind, "value": step }),
            )
        }));
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut text = String::new();
    for (index, (at, mut line)) in lines.into_iter().enumerate() {
        line["index"] = json!(index);
        line["time"] = json!(nanos(at));
        line["wall"] = json!(clock.begun_unix_ms + u64::try_from(at.as_millis()).unwrap_or(0));
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

fn invoke(run: &str, user: &User, operation: &Operation) -> Value {
    let mut line = common(run, user, operation);
    line["type"] = json!("invoke");
    if let Some(from) = operation.from {
        line["value"] = json!([from, from + 1]);
    }
    line["intended"] = json!(nanos(operation.intended));
    line
}

fn completion(run: &str, user: &User, operation: &Operation) -> Value {
    let mut line = common(run, user, operation);
    line["latency"] = json!(nanos(operation.latency()));
    if operation.tries > 1 {
        line["tries"] = json!(operation.tries);
        // From the `time` of its `invoke` to when it was sent last.
        line["last_try"] = json!(nanos(operation.last_try));
    }
    match &operation.outcome {
        Outcome::Ok(effect) => {
            line["type"] = json!("ok");
            match effect {
                Effect::Ticket { id } => line["value"] = json!(id),
                Effect::Message { seq } => line["seq"] = json!(seq),
                Effect::Changed { version } => {
                    line["value"] = json!([operation.from, version]);
                }
                // To Jepsen it has failed; the user has been answered well.
                Effect::Overtaken { version } => {
                    line["type"] = json!("fail");
                    line["value"] = json!([operation.from, operation.from.map(|from| from + 1)]);
                    line["found"] = json!(version);
                    line["error"] = json!("overtaken");
                }
                Effect::Read { version, stale } => {
                    line["value"] = json!(version);
                    line["stale"] = json!(stale);
                }
            }
        }
        Outcome::Fail(failure) => {
            line["type"] = json!("fail");
            line["error"] = json!(failure.to_string());
        }
        Outcome::Unknown(failure) => {
            line["type"] = json!("info");
            line["error"] = json!(failure.to_string());
        }
    }
    by(&mut line, operation.served.as_ref());
    line
}

/// A step of a stream is no operation, and so its process is no number: Jepsen's checkers pass it over.
fn of_stream(user: &User, step: &StreamStep) -> Value {
    let mut line = json!({
        "process": "stream",
        "type": "info",
        "key": user.name,
        "slot": user.slot.number(),
        "cell": user.cell.as_str(),
        "connection": step.connection,
    });
    match &step.step {
        Step::Asked { after } => {
            line["f"] = json!("stream-ask");
            line["after"] = json!(after);
        }
        Step::Opened(served) => {
            line["f"] = json!("stream-open");
            by(&mut line, served.as_ref());
        }
        Step::Heard { seq, id, number } => {
            line["f"] = json!("stream-hear");
            line["seq"] = json!(seq);
            line["id"] = json!(id);
            if let Some(number) = number {
                line["op_id"] = json!(number);
            }
        }
        Step::Ended(end) => {
            line["f"] = json!("stream-end");
            line["end"] = json!(end.to_string());
        }
    }
    line
}

/// Says who answered, if the answer said.
fn by(line: &mut Value, served: Option<&Served>) {
    let Some(served) = served else { return };
    line["cell"] = json!(served.cell.as_str());
    line["region"] = json!(served.region.as_str());
    line["epoch"] = json!(served.epoch.0);
    if served.replayed {
        line["replayed"] = json!(true);
    }
}

fn common(run: &str, user: &User, operation: &Operation) -> Value {
    json!({
        "f": operation.kind.function(),
        "key": user.name,
        "slot": user.slot.number(),
        "cell": user.cell.as_str(),
        "op_id": operation.number,
        "idem_key": mark(run, operation.number),
    })
}

/// Returns what the control plane said, as lines of JSON.
pub(crate) fn events_jsonl(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let line = json!({
            "time": nanos(event.at),
            "event": event.name,
            "cell": event.cell.as_str(),
            "region": event.region.as_ref().map(ToString::to_string),
            "epoch": event.epoch.0,
            "reason": event.reason,
            "evidence": event.evidence,
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
