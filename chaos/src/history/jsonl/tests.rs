use super::*;
use crate::history::fixture::{
    again, changed, connection, ended, heard, heard_reply, message, opened, read, refused, ticket,
    users,
};
use crate::history::{End, Failure, Kind};

#[test]
fn every_request_is_invoked_and_completed_in_the_order_of_time() {
    let operations = [ticket(0, 10, 40), refused(1, 20, 30)];
    let text = history_jsonl("r", &Clock::start(), &users(), &operations, &[], &[]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
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
            let said = ["seq", "id", "op_id", "after", "end"].map(|key| &line[key]);
            json!([line["process"], line["f"], line["type"], line["connection"], said])
        })
        .collect();
    let none = Value::Null;
    let of = |f: &str, connection: u32, said: Value| json!(["stream", f, "info", connection, said]);
    let expected = [
        of("stream-ask", 1, json!([none, none, none, none, none])),
        of("stream-open", 1, json!([none, none, none, none, none])),
        json!([0, "message", "invoke", none, [none, none, 0, none, none]]),
        of("stream-hear", 1, json!([1, "msg_1_0", 0, none, none])),
        of("stream-hear", 1, json!([2, "msg_2", none, none, none])),
        json!([0, "message", "ok", none, [1, none, 0, none, none]]),
        of("stream-end", 1, json!([none, none, none, none, "moved"])),
        of("stream-ask", 2, json!([none, none, none, 2, none])),
        of("stream-end", 2, json!([none, none, none, none, "503 hold-timeout"])),
    ];
    assert_eq!(told, expected);
}
