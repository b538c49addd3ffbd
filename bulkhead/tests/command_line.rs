//! The program as people and scripts call it, against a control plane that says what it is told to.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
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
        &[],
    ] {
        assert_eq!(bulkhead("http://127.0.0.1:1", wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    let help = bulkhead("http://127.0.0.1:1", &["--help"]).await;
    assert!(text(&help).contains("Exit codes:") && text(&help).contains("bulkhead events -f"));
    let completions = bulkhead("http://127.0.0.1:1", &["completions", "bash"]).await;
    assert!(text(&completions).contains("evacuate"));
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
