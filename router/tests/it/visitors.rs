//! Visitors: who nobody knows, and what their browsers send.

use http::{Method, StatusCode};
use runtime::http_client::Answer;
use serde_json::Value;

use crate::client::code;
use crate::site::Site;
use crate::world::World;

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

#[tokio::test]
async fn a_visitor_talks_with_a_cookie_and_the_site_hears_who_but_not_the_cookie() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let admitted = world.client().ask_as_is(Method::POST, "/v1/visitors", &[], "").await;
    let visitor = body(&admitted);
    assert_eq!(
        (admitted.status, &admitted.headers["cache-control"]),
        (StatusCode::CREATED, &"no-store".parse().unwrap())
    );
    let set = admitted.headers["set-cookie"].to_str().unwrap();
    let cookie = format!("theme=dark; {}", set.split(';').next().unwrap());
    let headers = [("cookie", cookie.as_str()), SAME_ORIGIN];
    let answer = world.client().ask_as_is(Method::POST, "/v1/conversations", &headers, "{}").await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = site.seen().remove(0).headers;
    assert_eq!((&*seen["x-bulkhead-role"], &*seen["cookie"]), ("contact", "theme=dark"));
    assert_eq!(seen["x-bulkhead-user"], visitor["user"].as_str().unwrap());
    // The same token as a bearer token, for a widget that has no cookies.
    let bearer = format!("Bearer {}", visitor["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("origin", "https://shop.example")];
    let answer = world.client().ask_as_is(Method::POST, "/v1/conversations", &headers, "{}").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.seen()[1].headers["x-bulkhead-user"], visitor["user"].as_str().unwrap());
    // Asked for again, it is the same visitor with more time.
    let headers = [("cookie", cookie.as_str()), SAME_ORIGIN];
    let renewed = world.client().ask_as_is(Method::POST, "/v1/visitors", &headers, "").await;
    assert_eq!(body(&renewed)["user"], visitor["user"]);
}

#[tokio::test]
async fn another_sites_page_can_do_nothing_with_a_visitors_cookie() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let admitted = world.client().ask_as_is(Method::POST, "/v1/visitors", &[], "").await;
    let set = admitted.headers["set-cookie"].to_str().unwrap();
    let cookie = set.split(';').next().unwrap();
    for evil in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let headers = [("cookie", cookie), evil];
        let told =
            world.client().ask_as_is(Method::POST, "/v1/conversations", &headers, "{}").await;
        assert_eq!((told.status, code(&told)), (StatusCode::FORBIDDEN, "cross-site".to_owned()));
        let another = world.client().ask_as_is(Method::POST, "/v1/visitors", &headers, "").await;
        assert_ne!(body(&another)["user"], body(&admitted)["user"]);
        assert!(!another.headers.contains_key("set-cookie"));
    }
    let bad = [("cookie", cookie), ("authorization", "Bearer a.b.c")];
    let told = world.client().ask_as_is(Method::GET, "/v1/conversations", &bad, "").await;
    assert_eq!(
        (told.status, code(&told)),
        (StatusCode::UNAUTHORIZED, "token-malformed".to_owned())
    );
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_visitor_is_made_with_post_and_nothing_else() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let told = world.client().ask_as_is(Method::GET, "/v1/visitors", &[], "").await;
    assert_eq!(told.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        (code(&told), &told.headers["allow"]),
        ("method-not-allowed".to_owned(), &"POST".parse().unwrap())
    );
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}
