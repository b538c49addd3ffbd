//! Reads that any site can answer, against sites at different distances.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::client::code;
use crate::files::{Files, Reply};
use crate::world::{Is, PUBLIC, World};

const FAR: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_public_read_goes_to_the_nearest_site_and_says_nothing_of_its_sender() {
    let (east, north, south) = (far(), near(), far());
    let world = world([&east, &north, &south], &Is::ActiveIn("east")).await;
    let sent = [
        ("authorization", "Bearer whatever"),
        ("cookie", "a=b"),
        ("x-bulkhead-user", "eve"),
        ("accept-language", "zh"),
    ];
    for _ in 0..10 {
        let answer = world.client().ask_as_is(Method::GET, "/widget/a?b=c", &sent, "").await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"file"[..]));
        assert_eq!(answer.headers["x-bulkhead-region"], "north");
    }
    assert_eq!((east.asked().len(), north.asked().len(), south.asked().len()), (0, 10, 0));
    let asked = north.asked().remove(0);
    assert_eq!(
        (asked.path.as_str(), &asked.headers["accept-language"]),
        ("/widget/a?b=c", &"zh".parse().unwrap())
    );
    for private in
        ["authorization", "cookie", "x-bulkhead-user", "x-bulkhead-slot", "x-bulkhead-epoch"]
    {
        assert!(!asked.headers.contains_key(private), "{private}");
    }
}

#[tokio::test]
async fn a_site_that_dies_is_left_at_once_and_no_read_fails() {
    let (east, mut north, south) = (far(), near(), far());
    let world = world([&east, &north, &south], &Is::ActiveIn("north")).await;
    assert_eq!(read(&world).await, (StatusCode::OK, "north".to_owned()));
    north.dies().await;
    for _ in 0..5 {
        let (status, region) = read(&world).await;
        assert_eq!(status, StatusCode::OK);
        assert_ne!(region, "north");
    }
}

#[tokio::test]
async fn a_cell_without_an_active_site_goes_on_answering_public_reads() {
    let (east, north, south) = (far(), near(), far());
    let world = world([&east, &north, &south], &Is::Electing).await;
    assert_eq!(read(&world).await, (StatusCode::OK, "north".to_owned()));
}

#[tokio::test]
async fn a_site_that_answers_with_errors_is_passed_over_and_three_tries_are_enough() {
    let (east, north, south) = (far(), near(), far());
    let world = world([&east, &north, &south], &Is::ActiveIn("east")).await;
    north.says(Reply::status(503));
    let (status, region) = read(&world).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(region, "north");
    for site in [&east, &south] {
        site.says(Reply::status(500));
    }
    let tries = || [&east, &north, &south].map(|site| site.asked().len()).iter().sum::<usize>();
    let before = tries();
    let answer = world.client().ask_as_is(Method::GET, "/widget/a", &[], "").await;
    assert!(answer.status.is_server_error(), "{answer:?}");
    assert_eq!(tries() - before, 3);
}

#[tokio::test]
async fn with_no_site_at_all_a_read_is_told_so() {
    let mut site = near();
    let world = World::with_files(site.address).await;
    site.dies().await;
    let answer = world.client().ask_as_is(Method::GET, "/widget/a", &[], "").await;
    assert_eq!(
        (answer.status, code(&answer)),
        (StatusCode::SERVICE_UNAVAILABLE, "no-site".to_owned())
    );
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn only_reads_of_public_paths_need_no_identity() {
    let site = near();
    let world = World::with_files(site.address).await;
    for (method, path, status) in [
        (Method::POST, "/widget/a", StatusCode::UNAUTHORIZED),
        (Method::DELETE, "/v1/kb/articles/a", StatusCode::UNAUTHORIZED),
        (Method::GET, "/v1/conversations", StatusCode::UNAUTHORIZED),
        (Method::GET, "/widget", StatusCode::UNAUTHORIZED),
        (Method::GET, "/widget/%2e%2e/v1/conversations", StatusCode::BAD_REQUEST),
        (Method::GET, "/widget//v1", StatusCode::BAD_REQUEST),
    ] {
        let answer = world.client().ask_as_is(method.clone(), path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert!(site.asked().is_empty());
}

fn near() -> Files {
    Files::start([Reply::ok("file", "no-store")])
}

fn far() -> Files {
    Files::at_distance(FAR, [Reply::ok("file", "no-store")])
}

/// A router that has measured every site.
async fn world([east, north, south]: [&Files; 3], is: &Is) -> World {
    let mut world = World::start_with(PUBLIC).await;
    world.publish_sites(8, is, [east.address, north.address, south.address]).await;
    world
        .eventually("every site has been measured", async || {
            let sites = world.admin("/_bulkhead/nearest").await?;
            let all = sites.as_array()?;
            (all.len() == 3 && all.iter().all(|site| site["proven"] == true)).then_some(())
        })
        .await;
    world
}

async fn read(world: &World) -> (StatusCode, String) {
    let answer = world.client().ask_as_is(Method::GET, "/widget/a", &[], "").await;
    let region =
        answer.headers.get("x-bulkhead-region").map_or("", |region| region.to_str().unwrap());
    (answer.status, region.to_owned())
}
