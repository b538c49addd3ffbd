use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream::{StreamExt as _, iter, pending};
use serde_json::json;
use topology::wire::header;

use super::*;
use crate::drill::Arrivals;
use crate::history::Kind;
use crate::history::fixture::served as by;

/// On any machine that is not standing still.
const ENOUGH: Duration = Duration::from_mins(1);

/// As the cell writes them.
fn event(seq: u64, mark: Option<&str>) -> String {
    let data = json!({ "id": format!("msg_{seq}"), "seq": seq, "client_message_id": mark, "text": "hello" });
    format!("id: {seq}\nevent: message.created\ndata: {data}\n\n")
}

const HEAD: &str = "retry: 2000\n: open\n\n";

/// What each connection was asked with.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// Ends its first stream with a last word, breaks off the second within an event, refuses the third, and
/// goes on without an end in the fourth.
fn tell(asked: &Asked, headers: &HeaderMap) -> Response {
    assert_eq!(headers["accept"], "text/event-stream");
    assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer "));
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
    let count = {
        let mut asked = asked.lock().unwrap();
        asked.push(last);
        asked.len()
    };
    let text = match count {
        1 => {
            let moved = "event: moved\ndata: {\"after_seq\":2}\n\n";
            [HEAD, &event(1, Some("run/7")), &event(2, None), moved].concat()
        }
        2 => {
            let (third, fourth) = (event(3, Some("other/7")), event(4, None));
            [HEAD, &third, &fourth[..fourth.len() / 2]].concat()
        }
        3 => {
            let problem = json!({ "code": "hold-timeout" });
            return (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response();
        }
        _ => {
            let ticket = "event: ticket.created\ndata: {\"ticket_id\":\"tkt_1\"}\n\n";
            let text = [HEAD, ticket, &event(4, Some("run/9"))].concat();
            let told = iter([Ok::<_, std::io::Error>(text)]).chain(pending());
            return begun(Body::from_stream(told));
        }
    };
    begun(Body::from(text))
}

fn begun(body: Body) -> Response {
    let names = [
        ("content-type", "text/event-stream"),
        (header::CELL, "c1"),
        (header::REGION, "east"),
        (header::EPOCH, "4"),
    ];
    (names, body).into_response()
}

fn platform(asked: Asked) -> SocketAddr {
    let conversation = async || (StatusCode::CREATED, Json(json!({ "id": "cnv_1" })));
    let stored = async || {
        let data = json!([{ "seq": 1, "client_message_id": "run/7" },
                          { "seq": 2 },
                          { "seq": 4, "client_message_id": "run/9" }]);
        Json(json!({ "data": data, "page": { "has_more": false } }))
    };
    let events = async |State(asked): State<Asked>, headers: HeaderMap| tell(&asked, &headers);
    let routes = axum::Router::new()
        .route("/v1/conversations", post(conversation))
        .route("/v1/conversations/cnv_1/messages", get(stored))
        .route("/v1/conversations/cnv_1/events", get(events))
        .with_state(asked);
    let listener = std::net::TcpListener::bind("127.140.0.3:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
    });
    address
}

fn load() -> Load {
    Load {
        arrivals: Arrivals::Constant,
        rate: 1.0,
        users: 1,
        mix: [(Kind::Message, 1)].into(),
        request_timeout: Duration::from_secs(10),
        max_in_flight: 1,
        retries: None,
        streams: 1,
    }
}

#[tokio::test]
async fn a_stream_is_opened_again_after_the_last_message_that_was_told_whole() {
    let asked = Asked::default();
    let mut client = Client::new(platform(Arc::clone(&asked)), "run");
    let opened = client.open("ada", "key", false).await.unwrap();
    client.add(opened);
    let (recorder, stop, clock) = (Recorder::default(), CancellationToken::new(), Clock::start());
    let heard_out = async {
        while recorder.last_heard(0) != Some(4) {
            timeout(ENOUGH, hear_out(&client, &[0], &recorder)).await.unwrap();
        }
        stop.cancel();
    };
    let load = load();
    let held = hold(&client, &load, &[0], 3, clock, &recorder, &stop);
    timeout(ENOUGH, async { tokio::join!(held, heard_out) }).await.unwrap();

    let after = |id: &str| Some(id.to_owned());
    assert_eq!(*asked.lock().unwrap(), [None, after("2"), after("3"), after("3")]);
    let steps = recorder.with(|record| record.streams.clone());
    assert!(steps.is_sorted_by_key(|step| step.at));
    let told: Vec<(u32, Step)> =
        steps.into_iter().map(|step| (step.connection, step.step)).collect();
    let opened = || Step::Opened(Some(by("east", 4)));
    let heard = |seq: u64, number| Step::Heard { seq, id: format!("msg_{seq}"), number };
    let refused =
        Failure::Status { status: 503, code: "hold-timeout".to_owned(), says_when: false };
    let expected = [
        (1, Step::Asked { after: None }),
        (1, opened()),
        (1, heard(1, Some(7))),
        (1, heard(2, None)),
        (1, Step::Ended(End::Moved)),
        (2, Step::Asked { after: Some(2) }),
        (2, opened()),
        // Another run's mark is none of ours.
        (2, heard(3, None)),
        (2, Step::Ended(End::Closed)),
        (3, Step::Asked { after: Some(3) }),
        (3, Step::Ended(End::Failed(refused))),
        (4, Step::Asked { after: Some(3) }),
        (4, opened()),
        (4, heard(4, Some(9))),
        (4, Step::Ended(End::Stopped)),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn nobody_there_is_a_refusal_and_no_end_of_the_stream() {
    let gone = "127.140.0.4:1".parse().unwrap();
    let mut client = Client::new(platform(Asked::default()), "run");
    let opened = client.open("ada", "key", false).await.unwrap();
    client.add(opened);
    let client = client.moved_to(gone);
    let (recorder, stop, clock) = (Recorder::default(), CancellationToken::new(), Clock::start());
    let twice = async {
        let is_refused =
            |step: &&StreamStep| step.step == Step::Ended(End::Failed(Failure::Refused));
        while recorder.with(|record| record.streams.iter().filter(is_refused).count()) < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
    };
    let load = load();
    let held = hold(&client, &load, &[0], 3, clock, &recorder, &stop);
    timeout(ENOUGH, async { tokio::join!(held, twice) }).await.unwrap();
    assert_eq!(recorder.last_heard(0), None);
}

#[test]
fn every_cell_has_its_share_of_the_streams() {
    let users: Vec<User> = ["c1", "c1", "c1", "c2", "c2", "c3"]
        .iter()
        .map(|cell| User {
            name: "ada".to_owned(),
            slot: topology::Slot::of("ada"),
            cell: cell.parse().unwrap(),
        })
        .collect();
    assert_eq!(streaming(&users, 5), [0, 3, 5, 1, 4]);
    assert_eq!(streaming(&users, 9), [0, 3, 5, 1, 4, 2]);
    assert!(streaming(&users, 0).is_empty());
}

#[test]
fn an_event_whose_number_is_not_its_message_is_not_understood() {
    let message = |id: &str| Message {
        id: Some(id.to_owned()),
        event: "message.created".to_owned(),
        data: "{\"seq\":4,\"id\":\"msg_4\"}".to_owned(),
    };
    assert_eq!(told(&message("4")).map(|told| told.seq), Some(4));
    assert!(told(&message("5")).is_none());
    assert!(told(&Message { id: None, ..message("4") }).is_none());
}

#[test]
fn pauses_double_while_nothing_comes_of_it_and_have_a_bound() {
    let most = [0, 1, 2, 40].map(|failures| pause(failures, 1.0).as_millis());
    assert_eq!(most, [100, 200, 400, 2000]);
    let least = [0, 1, 2, 40].map(|failures| pause(failures, 0.0).as_millis());
    assert_eq!(least, [50, 100, 200, 1000]);
}
