use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use topology::wire::header;

use super::*;
use crate::drill::{Arrivals, Retries};
use crate::history::{Effect, Kind};

const NAMES: [(&str, &str); 3] =
    [(header::CELL, "c1"), (header::REGION, "east"), (header::EPOCH, "4")];

/// Answers tickets, refuses messages of conversation 2, and forgets what it is told.
async fn platform(asked: Arc<AtomicU32>) -> SocketAddr {
    let ticket = |State(asked): State<Arc<AtomicU32>>, headers: HeaderMap| async move {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        assert!(headers.contains_key(header::IDEMPOTENCY_KEY));
        (StatusCode::CREATED, NAMES, Json(json!({ "id": format!("tkt_{number}") })))
    };
    let conversation = |State(asked): State<Arc<AtomicU32>>| async move {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        (StatusCode::CREATED, NAMES, Json(json!({ "id": format!("cnv_{number}") })))
    };
    let message = |Path(id): Path<String>| async move {
        if id == "cnv_1" {
            let problem = json!({ "code": "failing-over" });
            return (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response();
        }
        (StatusCode::CREATED, NAMES, Json(json!({ "message": { "seq": 1 } }))).into_response()
    };
    let version = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&version);
    let show = async move || {
        let version = now.load(Ordering::Relaxed);
        (StatusCode::OK, NAMES, Json(json!({ "version": version })))
    };
    // One register, whoever's ticket is meant.
    let transition = async move |headers: HeaderMap| {
        let seen: u64 = headers["if-match"].to_str().unwrap().trim_matches('"').parse().unwrap();
        let order = Ordering::Relaxed;
        match version.compare_exchange(seen, seen + 1, order, order) {
            Ok(_) => (StatusCode::OK, NAMES, Json(json!({ "version": seen + 1 }))),
            Err(version) => {
                let problem = json!({ "code": "stale-version", "version": version });
                (StatusCode::PRECONDITION_FAILED, NAMES, Json(problem))
            }
        }
    };
    let routes = Router::new()
        .route("/v1/tickets/{id}", get(show))
        .route("/v1/tickets/{id}/transitions", post(transition))
        .route("/v1/tickets", post(ticket))
        .route("/v1/conversations", post(conversation))
        .route("/v1/conversations/{id}/messages", post(message))
        .with_state(asked);
    let listener = tokio::net::TcpListener::bind("127.140.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = listener.into_std().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
    });
    address
}

async fn client(asked: &Arc<AtomicU32>) -> Client {
    client_with(asked, false).await
}

async fn client_with(asked: &Arc<AtomicU32>, keeps_ticket: bool) -> Client {
    let edge = platform(Arc::clone(asked)).await;
    let mut client = Client::new(edge, "run");
    for user in ["u0", "u1"] {
        let opened = client.open(user, "key", keeps_ticket).await.unwrap();
        assert_eq!(opened.served.as_ref().unwrap().cell.as_str(), "c1");
        client.add(opened);
    }
    client
}

fn load() -> Load {
    Load {
        arrivals: Arrivals::Constant,
        rate: 1000.0,
        users: 2,
        mix: [(Kind::Ticket, 1), (Kind::Message, 1)].into(),
        request_timeout: Duration::from_secs(10),
        max_in_flight: 100,
        retries: None,
        streams: 0,
    }
}

/// Drives until this many requests are recorded, and what was in flight then.
async fn driven(client: &Client, load: &Load, count: usize) -> Vec<Operation> {
    let (recorder, stop, clock) = (Recorder::default(), CancellationToken::new(), Clock::start());
    let enough = async {
        while recorder.with(|record| record.operations.len()) < count {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(drive(client, load, 3, clock, &recorder, &stop), enough);
    recorder.with(|record| {
        assert_eq!(record.lags.len(), record.operations.len());
        record.operations.clone()
    })
}

#[tokio::test]
async fn every_request_is_recorded_with_what_its_answer_proves() {
    let asked = Arc::new(AtomicU32::new(0));
    let client = client(&asked).await;
    let operations = driven(&client, &load(), 100).await;
    for operation in &operations {
        assert!(operation.intended <= operation.sent && operation.sent <= operation.ended);
        match (operation.kind, operation.user) {
            (Kind::Ticket, _) => {
                assert!(matches!(operation.outcome, Outcome::Ok(Effect::Ticket { .. })));
                assert_eq!(operation.served.as_ref().unwrap().epoch.0, 4);
            }
            (Kind::Message, 0) => {
                assert_eq!(operation.outcome, Outcome::Ok(Effect::Message { seq: 1 }));
            }
            (Kind::Message, _) => assert_eq!(
                operation.outcome,
                Outcome::Fail(Failure::Status {
                    status: 503,
                    code: "failing-over".to_owned(),
                    says_when: false,
                })
            ),
            (Kind::Transition | Kind::StrongRead | Kind::WeakRead, _) => panic!("not in the mix"),
        }
    }
    let tickets = operations.iter().filter(|operation| operation.kind == Kind::Ticket).count();
    let sent = usize::try_from(asked.load(Ordering::Relaxed)).unwrap() - 2;
    assert_eq!(sent, tickets, "no request is sent twice, none is forgotten");
}

#[tokio::test]
async fn a_request_that_is_asked_again_is_one_with_its_last_answer_and_its_tries() {
    let client = client(&Arc::new(AtomicU32::new(0))).await;
    let retries = Retries { tries: 3, backoff: Duration::from_millis(1), budget: 1.0, saved: 10 };
    let mix = [(Kind::Message, 1)].into();
    let load = Load { mix, retries: Some(retries), ..load() };
    let operations = driven(&client, &load, 50).await;
    let tries = |user| {
        let of_user = operations.iter().filter(move |op| op.user == user);
        of_user.map(|op| (op.tries, op.is_ok())).collect::<BTreeSet<_>>()
    };
    assert!(tries(0).contains(&(1, true)) && tries(0).iter().all(|(_, is_ok)| *is_ok));
    // How many are asked again at one time depends on the machine, and so whether the budget bears it.
    let refused = tries(1);
    assert!(refused.contains(&(3, false)) && refused.last() == Some(&(3, false)), "{refused:?}");
    for operation in &operations {
        assert_eq!(operation.asked() > operation.sent, operation.tries > 1, "{operation:?}");
        assert!(operation.asked() <= operation.ended, "{operation:?}");
    }
    let numbers: BTreeSet<u32> = operations.iter().map(|op| op.number).collect();
    assert_eq!(numbers.len(), operations.len());
}

#[tokio::test]
async fn a_transition_that_is_acknowledged_is_read_back_at_once() {
    let client = client_with(&Arc::new(AtomicU32::new(0)), true).await;
    let mix = [(Kind::Transition, 2), (Kind::StrongRead, 1), (Kind::WeakRead, 1)].into();
    let (recorder, stop, clock) = (Recorder::default(), CancellationToken::new(), Clock::start());
    let enough = async {
        let backs = |operations: &[Operation]| {
            operations.iter().filter(|op| op.number >= READ_BACK).count()
        };
        while recorder.with(|record| backs(&record.operations)) < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
    };
    // On a machine that stands still for a moment none is dropped, and what waits then has files enough.
    let load = Load { mix, rate: 100.0, max_in_flight: usize::MAX, ..load() };
    tokio::join!(drive(&client, &load, 3, clock, &recorder, &stop), enough);
    let operations = recorder.with(|record| record.operations.clone());
    let mut changes = 0;
    for operation in &operations {
        let Outcome::Ok(effect) = &operation.outcome else { panic!("{operation:?}") };
        match effect {
            Effect::Changed { version } => {
                changes += 1;
                assert_eq!(operation.from, Some(version - 1));
                let mut back = operations.iter().filter(|op| op.sent >= operation.ended);
                let is_back = |op: &Operation| op.number == READ_BACK + operation.number;
                // The last ones may have ended when the load had.
                if let Some(back) = back.find(|op| is_back(op)) {
                    assert_eq!(back.intended, operation.ended);
                    let Outcome::Ok(Effect::Read { version: read, .. }) = back.outcome else {
                        panic!("{back:?}")
                    };
                    assert!(read >= *version, "{read} after {version}");
                }
            }
            Effect::Overtaken { version } => assert_ne!(operation.from, Some(*version)),
            Effect::Read { .. } => assert_eq!(operation.from, None),
            Effect::Ticket { .. } | Effect::Message { .. } => panic!("{operation:?}"),
        }
    }
    let backs = operations.iter().filter(|op| op.number >= READ_BACK).count();
    assert!((10..=changes).contains(&backs), "{changes} changes, {backs} read back");
}

#[tokio::test]
async fn what_may_not_be_sent_any_more_is_dropped_and_not_delayed() {
    let client = client(&Arc::new(AtomicU32::new(0))).await;
    let operations = driven(&client, &Load { max_in_flight: 0, ..load() }, 10).await;
    assert!(operations.iter().all(|op| op.outcome == Outcome::Fail(Failure::Dropped)));
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    // Nothing listens on this port of an address of our own.
    let gone = "127.140.0.2:1".parse().unwrap();
    let client = client(&Arc::new(AtomicU32::new(0))).await.moved_to(gone);
    let operations = driven(&client, &load(), 5).await;
    assert!(operations.iter().all(|op| op.outcome == Outcome::Fail(Failure::Refused)));
}
