//! History and events as lines of JSON, in Jepsen's words.

use std::time::Duration;

use serde_json::{Value, json};

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
    for operation in operations {
        let user = &users[operation.user];
        lines.push((operation.sent, invoke(run, user, operation)));
        lines.push((operation.ended, completion(run, user, operation)));
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
        Step::Heard { seq, number } => {
            line["f"] = json!("stream-hear");
            line["seq"] = json!(seq);
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
        "process": operation.user,
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
mod tests {
    use super::super::fixture::{
        again, changed, connection, ended, heard, heard_reply, message, opened, read, refused,
        ticket, users,
    };
    use super::super::{End, Failure, Kind};
    use super::*;

    #[test]
    fn every_request_is_invoked_and_completed_in_the_order_of_time() {
        let operations = [ticket(0, 10, 40), refused(1, 20, 30)];
        let text = history_jsonl("r", &Clock::start(), &users(), &operations, &[], &[]);
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<(u64, &str, u64)> = lines
            .iter()
            .map(|line| {
                let kind = line["type"].as_str().unwrap();
                (line["index"].as_u64().unwrap(), kind, line["op_id"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(told, [(0, "invoke", 0), (1, "invoke", 1), (2, "fail", 1), (3, "ok", 0)]);
        assert_eq!(lines[3]["epoch"], 1);
        assert_eq!(lines[3]["idem_key"], "r/0");
        assert_eq!(lines[3]["latency"], 30_000_000);
    }

    #[test]
    fn of_a_request_that_was_asked_again_it_is_told_how_often_and_when_last() {
        let mut asked_again = again(30, ticket(1, 20, 40));
        asked_again.served.as_mut().unwrap().replayed = true;
        let operations = [ticket(0, 10, 15), asked_again];
        let text = history_jsonl("r", &Clock::start(), &users(), &operations, &[], &[]);
        let told: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| {
                let keys = ["type", "time", "tries", "last_try", "replayed"];
                json!(keys.map(|key| line[key].clone()))
            })
            .collect();
        let expected = [
            json!(["invoke", 10_000_000, null, null, null]),
            json!(["ok", 15_000_000, null, null, null]),
            json!(["invoke", 20_000_000, null, null, null]),
            json!(["ok", 40_000_000, 2, 10_000_000, true]),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_ticket_that_is_moved_on_is_a_register_that_is_compared_and_set() {
        let overtaken = Outcome::Ok(Effect::Overtaken { version: 3 });
        let stale = Outcome::Ok(Effect::Read { version: 2, stale: true });
        let operations = [
            changed(0, 10, 20, 2),
            Operation { outcome: overtaken, ..changed(1, 30, 40, 2) },
            read(2, 50, 60, 3),
            Operation { kind: Kind::WeakRead, outcome: stale, ..read(3, 70, 80, 2) },
        ];
        let text = history_jsonl("r", &Clock::start(), &users(), &operations, &[], &[]);
        let told: Vec<String> = text
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                format!("{} {} {}", line["f"], line["type"], line["value"]).replace('"', "")
            })
            .collect();
        let expected = [
            "cas invoke [1,2]",
            "cas ok [1,2]",
            "cas invoke [1,2]",
            "cas fail [1,2]",
            "read invoke null",
            "read ok 3",
            "weak-read invoke null",
            "weak-read ok 2",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_stream_is_told_step_by_step_among_the_requests_and_is_none_itself() {
        let steps = vec![
            (10, Step::Asked { after: None }),
            (15, opened(1)),
            (30, heard(1, 0)),
            (32, heard_reply(2)),
            (50, ended(End::Moved)),
        ];
        let mut streams = connection(1, steps);
        let refused =
            Failure::Status { status: 503, code: "hold-timeout".to_owned(), says_when: false };
        streams.extend(connection(
            2,
            vec![(60, Step::Asked { after: Some(2) }), (90, ended(End::Failed(refused)))],
        ));
        let operations = [message(0, 20, 40, 1)];
        let text = history_jsonl("r", &Clock::start(), &users(), &operations, &streams, &[]);
        let told: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| {
                let said = [&line["seq"], &line["op_id"], &line["after"], &line["end"]];
                json!([line["process"], line["f"], line["type"], line["connection"], said])
            })
            .collect();
        let none = Value::Null;
        let of = |f: &str, connection: u32, said: [Value; 4]| {
            json!(["stream", f, "info", connection, said])
        };
        let expected = [
            of("stream-ask", 1, [none.clone(), none.clone(), none.clone(), none.clone()]),
            of("stream-open", 1, [none.clone(), none.clone(), none.clone(), none.clone()]),
            json!([0, "message", "invoke", none, [none, 0, none, none]]),
            of("stream-hear", 1, [json!(1), json!(0), none.clone(), none.clone()]),
            of("stream-hear", 1, [json!(2), none.clone(), none.clone(), none.clone()]),
            json!([0, "message", "ok", none, [1, 0, none, none]]),
            of("stream-end", 1, [none.clone(), none.clone(), none.clone(), json!("moved")]),
            of("stream-ask", 2, [none.clone(), none.clone(), json!(2), none.clone()]),
            of("stream-end", 2, [none.clone(), none.clone(), none, json!("503 hold-timeout")]),
        ];
        assert_eq!(told, expected);
    }
}
