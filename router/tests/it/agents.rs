//! Requests of agents: where they go, and how they wait.

use http::{Method, StatusCode};
use runtime::http_client::Answer;
use serde_json::json;
use topology::Slot;
use topology::public_id::{Kind, PublicId};

use crate::client::{ada, code, token};
use crate::site::Site;
use crate::world::{Is, World};

#[tokio::test]
async fn a_site_hears_an_agents_role_and_the_slot_of_the_id_in_the_path() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let path = format!("/v1/tickets/{}/history?limit=5", ticket());
    assert_eq!(ask(&world, Method::GET, &path).await.status, StatusCode::OK);
    let named = format!("/cells/c1{path}");
    assert_eq!(ask(&world, Method::GET, &named).await.status, StatusCode::OK);
    for seen in site.seen() {
        assert_eq!(seen.line, format!("GET {path} HTTP/1.1"));
        let header = |name: &str| seen.headers.get(name).map(String::as_str);
        assert_eq!(header("x-bulkhead-role"), Some("agent"));
        assert_eq!(header("x-bulkhead-user"), Some("grace"));
        assert_eq!(header("x-bulkhead-slot"), Some("9000"));
        assert_eq!(header("x-bulkhead-cell"), Some("c1"));
    }
    assert_eq!(site.seen().len(), 2);
}

#[tokio::test]
async fn a_request_for_a_whole_cell_names_no_slot() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let answer = ask(&world, Method::GET, "/cells/c1/v1/tickets?limit=5").await;
    assert_eq!(
        (answer.status, &answer.headers["x-bulkhead-cell"]),
        (StatusCode::OK, &"c1".parse().unwrap())
    );
    let seen = site.seen().remove(0);
    assert_eq!(seen.line, "GET /v1/tickets?limit=5 HTTP/1.1");
    assert!(!seen.headers.contains_key("x-bulkhead-slot"));
}

#[tokio::test]
async fn what_is_not_an_agents_reaches_no_site() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    for (path, status, expected) in [
        ("/v1/tickets", StatusCode::BAD_REQUEST, "target-missing"),
        ("/cells/c2/v1/tickets", StatusCode::FORBIDDEN, "cell-forbidden"),
        ("/cells/c9/v1/tickets", StatusCode::NOT_FOUND, "unknown-cell"),
    ] {
        let answer = ask(&world, Method::GET, path).await;
        assert_eq!((answer.status, code(&answer)), (status, expected.to_owned()), "{path}");
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_contact_who_names_a_cell_goes_to_their_own_and_the_path_stays() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let bearer = format!("Bearer {}", token(&ada()));
    let headers = [("authorization", bearer.as_str())];
    let answer = world.client().ask_as_is(Method::GET, "/cells/c9/v1/tickets", &headers, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = site.seen().remove(0);
    assert_eq!(seen.line, "GET /cells/c9/v1/tickets HTTP/1.1");
    assert_eq!(seen.headers["x-bulkhead-slot"], "47");
}

#[tokio::test]
async fn a_request_for_a_cell_waits_for_its_next_site_and_is_counted() {
    let north = Site::start([]);
    let mut world = World::start().await;
    world.publish(8, &Is::Electing, north.address).await;
    let (client, bearer) = (world.client(), grace());
    let headers = [("authorization", bearer.as_str())];
    let ask = client.ask_as_is(Method::POST, "/cells/c1/v1/kb/search", &headers, "");
    let (answer, ()) = tokio::join!(ask, async {
        world.held(1.0).await;
        world.publish(9, &Is::ActiveIn("north"), north.address).await;
    });
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, b"ok\n".as_slice()));
    assert_eq!(answer.headers["x-bulkhead-epoch"], "9");
    let answered = "router_upstream_attempts_total{cell=\"c1\",outcome=\"answered\"}";
    world.eventually_counts(answered, 1.0).await;
}

async fn ask(world: &World, method: Method, path: &str) -> Answer {
    let bearer = grace();
    world.client().ask_as_is(method, path, &[("authorization", &bearer)], "").await
}

/// An agent of c1, and of a cell that does not exist.
fn grace() -> String {
    let mut claims = ada();
    claims["sub"] = json!("grace");
    claims["role"] = json!("agent");
    claims["cells"] = json!(["c1", "c9"]);
    format!("Bearer {}", token(&claims))
}

fn ticket() -> String {
    PublicId { kind: Kind::Ticket, slot: Slot::new(9000).unwrap(), id: 42 }.to_string()
}
