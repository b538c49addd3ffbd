//! The program as people and scripts call it, against a control plane that says what it is told to.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::routing::{get, post, put};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TOKEN: &str = "a-token";

#[tokio::test(flavor = "multi_thread")]
async fn cells_are_a_table_for_people_and_json_for_programs() {
    let address = serve(Router::new().route("/v1/cells", get(async || cells().to_string()))).await;
    let told = bulkhead(&address, &["cells"]).await;
    let expected = "\
CELL  ACTIVE  PHASE   EPOCH  STANDBYS      LAG    STATE      SLOTS
c1    east    steady  7      north, south  2 KiB  redundant  5462
";
    assert_eq!((text(&told), told.status.code()), (expected.to_owned(), Some(0)));
    let told = bulkhead(&address, &["--json", "cells"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&told.stdout).unwrap(), cells());
}

#[tokio::test(flavor = "multi_thread")]
async fn drills_are_told_with_what_each_came_to() {
    let run = json!({
        "id": "1795386085000-region-loss", "run": "region-loss-1795386085000",
        "drill": "region-loss", "title": "A region is lost", "environment": "local-1", "seed": 1,
        "begun_unix_ms": 1_795_386_085_000_u64, "ended_unix_ms": 1_795_386_185_000_u64,
        "verdict": "fail", "exit_code": 1, "reasons": ["recover-99 is never, the limit is 5 s"],
        "recover_99_ms": "never", "detect_ms": 1120, "redundancy_restored_ms": null,
        "strong_lost": 0, "weak_lost": null, "failed": 7, "held": 41,
    });
    let page = json!({ "data": [run], "next": null });
    let address =
        serve(Router::new().route("/v1/drills", get(async move || page.to_string()))).await;
    let told = bulkhead(&address, &["drills"]).await;
    let expected = "\
WHEN                  DRILL        VERDICT  RECOVERED  NOTICED  REDUNDANT  LOST  FAILED  HELD  WHY
2026-11-22 22:21:25Z  region-loss  fail     never      1.12 s   -          0/-   7       41    recover-99 is never, the limit is 5 s
";
    assert_eq!((text(&told), told.status.code()), (expected.to_owned(), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_has_its_own_exit_code() {
    let refuse = async |headers: HeaderMap, body: String| {
        assert_eq!(headers[header::AUTHORIZATION], format!("Bearer {TOKEN}"));
        assert_eq!(body, r#"{"to":"west"}"#);
        let problem = json!({ "type": "/problems/not-a-standby", "status": 409,
            "title": "The cell has no voting standby there", "code": "not-a-standby",
            "detail": "west is not among the cell's standbys that vote" });
        (StatusCode::CONFLICT, problem.to_string())
    };
    let routes = Router::new().route("/v1/cells/c1/switchover", post(refuse));
    let address = serve(routes).await;
    let told = bulkhead(&address, &["cell", "c1", "switchover", "--to", "west"]).await;
    let expected = "failed to The cell has no voting standby there (not-a-standby)\n  west is not \
                    among the cell's standbys that vote\n";
    assert_eq!(String::from_utf8(told.stderr).unwrap(), expected);
    assert_eq!(told.status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_gone_or_does_not_know_is_passed_over() {
    let unknowing = async || {
        let problem = json!({ "type": "/problems/nothing-known", "status": 503,
            "title": "This control plane has not read etcd yet", "code": "nothing-known" });
        (StatusCode::SERVICE_UNAVAILABLE, problem.to_string())
    };
    let unknowing = serve(Router::new().route("/v1/cells", get(unknowing))).await;
    let knowing = serve(Router::new().route("/v1/cells", get(async || cells().to_string()))).await;
    // Nothing listens on the first port.
    let all = format!("http://127.0.0.1:1,{unknowing},{knowing}");
    assert_eq!(bulkhead(&all, &["cells"]).await.status.code(), Some(0));
    let none = format!("http://127.0.0.1:1,{unknowing}");
    let told = bulkhead(&none, &["cells"]).await;
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(said.contains("has not read etcd yet"), "{said}");
    assert_eq!(told.status.code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evacuation_is_followed_to_its_end_and_its_end_is_the_exit_code() {
    let begun = operation("running", None);
    let ended = operation("failed", Some("south does not answer"));
    let routes = Router::new()
        .route("/v1/regions/east/evacuate", post(async move || begun.to_string()))
        .route("/v1/operations/op-1", get(async move || ended.to_string()));
    let address = serve(routes).await;
    let told = bulkhead(&address, &["evacuate", "east", "--watch"]).await;
    let said = String::from_utf8(told.stderr.clone()).unwrap();
    assert!(said.contains("evacuate east: failed, wave 1 of 1, 0 of 1 steps"), "{said}");
    assert!(said.contains("failed to evacuate east: failed, south does not answer"), "{said}");
    assert!(text(&told).contains("1     move c1 from east to south  waiting"), "{}", text(&told));
    assert_eq!(told.status.code(), Some(5));
}

/// The stream breaks after the first event; the second comes to whoever asks for what came after it.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_followed_by_its_events_across_a_broken_stream() {
    let has_ended = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&has_ended);
    let events = async move |headers: HeaderMap| {
        let event = |id: u64, name: &str, reason: &str| {
            let data = json!({ "at_unix_ms": id, "operation": "op-1", "region": "east",
                "reason": reason, "evidence": "0 of 1 steps" });
            format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
        };
        match headers["last-event-id"].to_str().unwrap() {
            "1795386084999" => event(1_795_386_085_100, "operation-step", "move c1: begins"),
            "1795386085100" => {
                ended.store(true, Ordering::Relaxed);
                event(1_795_386_085_200, "operation-ended", "evacuate east: failed")
            }
            other => panic!("asked for what came after {other}"),
        }
    };
    let how = async move || {
        let why = has_ended.load(Ordering::Relaxed).then_some("south does not answer");
        operation(why.map_or("running", |_| "failed"), why).to_string()
    };
    let routes =
        Router::new().route("/v1/events", get(events)).route("/v1/operations/op-1", get(how));
    let told = bulkhead(&serve(routes).await, &["operation", "op-1", "--watch"]).await;
    let said = String::from_utf8(told.stderr.clone()).unwrap();
    let (step, end) = (said.find("move c1: begins"), said.find("evacuate east: failed; 0 of 1"));
    assert!(step.is_some() && step < end, "{said}");
    assert_eq!(told.status.code(), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_with_tls_is_believed_only_with_its_authority() {
    let folder = std::env::temp_dir().join(format!("bulkhead-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let (own, own_key) = (folder.join("own.pem"), folder.join("own.key"));
    std::fs::write(&own, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&own_key, key.serialize_pem()).unwrap();
    let certificate = runtime::door::certificate(own.clone(), own_key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let door =
        runtime::door::Door::new(listener, Arc::new(certificate), runtime::door::Guests::OPERATORS);
    let routes = Router::new().route("/v1/cells", get(async || cells().to_string()));
    let serving = async move { axum::serve(door, routes).await };
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    drop(tokio::spawn(serving));

    let believed = bulkhead(&address, &["cells", "--ca", own.to_str().unwrap()]).await;
    let doubted = bulkhead(&address, &["cells"]).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(text(&believed).contains("redundant"), "{believed:?}");
    let said = String::from_utf8(doubted.stderr).unwrap();
    assert!(said.contains("UnknownIssuer"), "{said}");
    assert_eq!(doubted.status.code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_told_from_everything_else() {
    for wrong in [
        &["evacuate"][..],
        &["drain", "east", "--wave-pause", "1s"],
        &["cell", "c1", "retire-site"],
        &["freeze"],
        &["operations", "--wave-pause", "1"],
        &["operation", "op-1", "--dry-run"],
        &[],
    ] {
        assert_eq!(bulkhead("http://127.0.0.1:1", wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    let help = bulkhead("http://127.0.0.1:1", &["--help"]).await;
    assert!(text(&help).contains("Exit codes:") && text(&help).contains("bulkhead events -f"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_looked_at_before_it_is_said() {
    let freeze = async |headers: HeaderMap, uri: Uri| {
        assert_eq!(uri.query(), Some("dry_run=true"));
        assert_eq!(headers[header::IF_MATCH], "\"3\"");
        let ahead = json!({ "broken": [], "waves": [["freeze everything"]], "expected": null,
            "blast_radius": { "cells": ["c1"], "slots": 16384, "of_slots": 16384 },
            "headroom": {}, "etag": "\"3\"", "allowed": true, "dry_run": true, "moves": [] });
        ahead.to_string()
    };
    let address = serve(Router::new().route("/v1/freeze", put(freeze))).await;
    let look = ["freeze", "--reason", "we look", "--dry-run", "--if-match", "\"3\""];
    let told = bulkhead(&address, &look).await;
    let expected = "\
Nothing was done. This would be:
  wave 1: freeze everything
  concerns c1: 16384 of 16384 slots
To do just this: the same with --if-match '\"3\"'
";
    assert_eq!((text(&told), told.status.code()), (expected.to_owned(), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_is_told_the_commands() {
    for (shell, line) in [
        ("bash", "complete -F _bulkhead"),
        ("zsh", "#compdef bulkhead"),
        ("fish", "complete -c bulkhead"),
    ] {
        let told = bulkhead("http://127.0.0.1:1", &["completions", shell]).await;
        let script = text(&told);
        for part in [line, "evacuate", "retire-site"] {
            assert!(script.contains(part), "{shell}: {part} is missing");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_are_listed_across_cells() {
    let site = json!({ "cell": "c1", "region": "north", "role": "standby", "tenure": "standby",
        "postgres": "standby", "lag_bytes": 2048, "reachable": false, "votes": true,
        "alerts": { "disk-full": { "detail": "", "since_unix_ms": 1 } } });
    let sites = json!({ "data": [site] });
    let expected = "\
SITE      ROLE     TENURE   POSTGRES  LAG    VOTES  ANSWERS  ALERTS
c1@north  standby  standby  standby   2 KiB  yes    no       disk-full
";
    shown("/v1/sites", sites, &["sites"], expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vantages_are_rows_and_what_does_not_count_is_in_brackets() {
    let row = |id: &str, age_ms: Option<u64>, blind_to: &[&str], health: &str, counts: bool| {
        json!({ "id": id, "age_ms": age_ms, "sequence": 7, "fresh": true, "blind_to": blind_to,
            "sites": { "c1@east": { "health": health, "since_unix_ms": null, "deep": null,
                "counts": counts } } })
    };
    let matrix = json!({ "vantage": "north", "data": [
        row("north", Some(0), &[], "healthy", true),
        row("south", Some(1900), &["east"], "unreachable", false),
    ] });
    let expected = "\
As north has heard:
VANTAGE  HEARD     COUNTS             c1@east
north    0 ms ago  yes                healthy
south    1 s ago   no, blind to east  (unreachable)
(…) is not counted.
";
    shown("/v1/vantages", matrix, &["vantages"], expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_told_with_what_was_noted_or_that_it_cannot_be_read() {
    let sight = json!({ "health": "slow", "since_unix_ms": null, "deep": null, "counts": true });
    let agreed = json!({ "health": "slow", "since_unix_ms": 1, "by": 2, "of": 2 });
    let mut evidence = json!({
        "cell": "c1", "epoch": 7, "phase": "steady in east", "vantage": "north", "at_unix_ms": 1,
        "active": "east", "verdict": "gray", "since_unix_ms": 1_795_386_085_000_u64,
        "against": { "probes": { "what": "2 of 2 find it slow",
            "since_unix_ms": 1_795_386_085_000_u64 } },
        "held": "no standby is better", "lease_age_ms": 210, "traffic": null, "decisions": [],
        "sites": { "east": { "agreed": agreed, "flapping": false,
            "seen_from": { "north": sight, "south": sight } } },
        "history": [{ "at_unix_ms": 1_795_386_085_000_u64, "vantage": "south", "what": "gray",
            "reason": "slow for 20 s", "seen": {} }],
    });
    let head = "\
c1 is steady in east under epoch 7; north judges: gray since 2026-11-22 22:21:25Z
  its lease was renewed 210 ms ago
  it is left there: no standby is better

AGAINST  SINCE                 WHAT
probes   2026-11-22 22:21:25Z  2 of 2 find it slow

SITE  AGREED        FROM north  FROM south
east  slow, 2 of 2  slow        slow

";
    let noted = "\
WHEN                  BY     WHAT  WHY
2026-11-22 22:21:25Z  south  gray  slow for 20 s
";
    let path = "/v1/cells/c1/evidence";
    let ask = ["evidence", "c1"];
    shown(path, evidence.clone(), &ask, &format!("{head}{noted}")).await;
    evidence["sites"]["east"]["seen_from"]["south"]["counts"] = false.into();
    let uncounted = head.replace("slow        slow\n", "slow        (slow)\n(…) is not counted.\n");
    shown(path, evidence.clone(), &ask, &format!("{uncounted}{noted}")).await;
    evidence["sites"]["east"]["seen_from"]["south"]["counts"] = true.into();
    evidence["history"] = Value::Null;
    let unread = "What was noted cannot be read: etcd does not answer.\n";
    shown(path, evidence, &ask, &format!("{head}{unread}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_while_etcd_does_not_answer_is_said_to_be() {
    let operations = json!({ "data": [operation("running", None)], "with_ended": false });
    let expected = "\
OPERATION  WHAT      WHERE  STATUS   STEPS  LEFT  WHO  ASKED
op-1       evacuate  east   running  0/1    -     mei  2026-11-22 22:21:25Z
Only those that went on when etcd was last read: it does not answer.
";
    shown("/v1/operations", operations, &["operations"], expected).await;
    let mut remembered = operation("running", None);
    remembered["remembered"] = true.into();
    let expected = "\
op-1  evacuate east: running, wave 1 of 1, 0 of 1 steps; as it was when etcd was last read: it does not answer
  asked by mei at 2026-11-22 22:21:25Z

WAVE  STEP                        STATE    TOOK  HELD  WHY
1     move c1 from east to south  waiting  -     -
";
    shown("/v1/operations/op-1", remembered, &["operation", "op-1"], expected).await;
    let explained = json!({ "user": "alice", "slot": 4711, "cell": "c1", "epoch": 7,
        "at_unix_ms": 1_795_386_085_000_u64, "state": "serving", "active": "east",
        "gateway": "127.1.1.1:8000", "since_unix_ms": null, "until_unix_ms": null,
        "why": "opened", "cause": null, "link": null, "history": null });
    let expected = "\
alice → slot 4711 → c1 → east (127.1.1.1:8000)
  at 2026-11-22 22:21:25Z under epoch 7, serving
  opened

Its history cannot be read: etcd does not answer.
";
    shown("/v1/route/explain", explained, &["explain", "alice"], expected).await;
}

/// Holds what is told to people to what is expected, and what is told to programs to the answer.
async fn shown(path: &str, answer: Value, arguments: &[&str], expected: &str) {
    let body = answer.to_string();
    let address = serve(Router::new().route(path, get(async move || body))).await;
    let told = bulkhead(&address, arguments).await;
    let said = String::from_utf8_lossy(&told.stderr);
    assert_eq!((text(&told).as_str(), told.status.code()), (expected, Some(0)), "{said}");
    let told = bulkhead(&address, &[&["--json"], arguments].concat()).await;
    assert_eq!(serde_json::from_slice::<Value>(&told.stdout).unwrap(), answer);
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async move { axum::serve(listener, routes).await };
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    drop(tokio::spawn(serving));
    format!("http://{address}")
}

async fn bulkhead(addresses: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    command.env("BULKHEAD_ADDRESS", addresses).env("BULKHEAD_TOKEN", TOKEN).args(arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn cells() -> Value {
    let site = |region: &str, role: &str, lag: u64| {
        json!({ "region": region, "role": role, "tenure": "standby", "postgres": "standby",
            "lag_bytes": lag, "reachable": true, "votes": true, "alerts": {} })
    };
    json!({ "data": [{
        "id": "c1", "epoch": 7, "phase": "steady", "active": "east", "target": null,
        "voters": ["north", "south"], "acks": 1, "reason": "opened", "slots": 5462,
        "redundant": true, "at_risk": false, "frozen": null, "lease": null,
        "sites": [site("east", "active", 0), site("north", "standby", 2048), site("south", "standby", 9)],
    }] })
}

fn operation(status: &str, why: Option<&str>) -> Value {
    json!({
        "id": "op-1", "kind": "evacuate", "region": "east", "status": status, "why": why,
        "who": "mei", "asked_unix_ms": 1_795_386_085_000_u64, "waits_for": null, "wave": 0,
        "steps_ended": 0, "steps": 1, "eta_ms": null,
        "ended_unix_ms": why.map(|_| 1_795_386_086_000_u64),
        "waves": [[{ "do": "move", "cell": "c1", "from": "east", "to": "south", "state": "waiting" }]],
    })
}
