//! What routers keep of public files, and what never.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use runtime::http_client::Answer;

use crate::files::{Files, Reply};
use crate::world::{Is, World};

const LONG: &str = "public, max-age=600";

#[tokio::test]
async fn a_file_is_fetched_once_and_served_with_its_age() {
    let site = Files::start([Reply::ok("file", LONG)]);
    let world = World::with_files(site.address).await;
    let first = get(&world, &[]).await;
    assert_eq!((text(&first), status(&first)), ("file", "bulkhead; fwd=uri-miss; stored"));
    assert!(!first.headers.contains_key("age"));
    let second = get(&world, &[]).await;
    assert_eq!((text(&second), status(&second)), ("file", "bulkhead; hit"));
    assert!(second.headers.contains_key("age"));
    // Who sends a token or a cookie is served from what is kept, too.
    assert_eq!(status(&get(&world, &[("cookie", "a=b")]).await), "bulkhead; hit");
    assert_eq!(site.asked().len(), 1);
    world.eventually_counts("router_cache_requests_total{outcome=\"hit\"}", 2.0).await;
    assert_eq!(world.metric("router_cache_objects ").await, Some(1.0));
}

#[tokio::test]
async fn what_is_private_or_was_asked_for_by_somebody_is_never_kept() {
    for reply in [
        Reply::ok("file", "private, max-age=600"),
        Reply::ok("file", "no-store"),
        Reply::ok("file", LONG).with("set-cookie", "a=b"),
        Reply::ok("file", LONG).with("vary", "*"),
    ] {
        let site = Files::start([reply]);
        let world = World::with_files(site.address).await;
        for _ in 0..2 {
            assert_eq!(status(&get(&world, &[]).await), "bulkhead; fwd=bypass");
        }
        assert_eq!(site.asked().len(), 2);
    }
    let site = Files::start([Reply::ok("file", LONG)]);
    let world = World::with_files(site.address).await;
    for credentials in [("cookie", "a=b"), ("authorization", "Bearer x")] {
        assert_eq!(status(&get(&world, &[credentials]).await), "bulkhead; fwd=bypass");
    }
    assert_eq!(status(&get(&world, &[]).await), "bulkhead; fwd=uri-miss; stored");
}

#[tokio::test]
async fn many_who_ask_at_once_are_answered_by_one_fetch() {
    let site = Files::start([Reply::ok("file", LONG)]);
    let world = World::with_files(site.address).await;
    let gate = site.wait_for_me();
    let asking = join_all((0..20).map(|_| get(&world, &[])));
    let (answers, ()) = tokio::join!(asking, async {
        world.eventually("the file is being fetched", async || site.asked().pop()).await;
        gate.notify_one();
    });
    assert!(answers.iter().all(|answer| text(answer) == "file"));
    assert_eq!(site.asked().len(), 1);
    let counted = async |outcome: &str| {
        world.metric(&format!("router_cache_requests_total{{outcome=\"{outcome}\"}}")).await
    };
    world
        .eventually("the others are counted as served from what was kept", async || {
            let kept = counted("coalesced").await? + counted("hit").await?;
            ((kept - 19.0).abs() < f64::EPSILON).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_stale_file_is_confirmed_by_its_tag_and_not_sent_again() {
    let stale = "public, max-age=0";
    let confirmed = Reply::status(304).with("etag", "\"1\"").with("cache-control", LONG);
    let site = Files::start([Reply::ok("file", stale).with("etag", "\"1\""), confirmed]);
    let world = World::with_files(site.address).await;
    assert_eq!(text(&get(&world, &[]).await), "file");
    let confirmed = get(&world, &[]).await;
    assert_eq!((confirmed.status, text(&confirmed)), (StatusCode::OK, "file"));
    assert_eq!(status(&confirmed), "bulkhead; hit; fwd=stale; fwd-status=304");
    assert_eq!(site.asked()[1].headers["if-none-match"], "\"1\"");
    assert_eq!(status(&get(&world, &[]).await), "bulkhead; hit");
    // A client that has it is told so by the router.
    let known = get(&world, &[("if-none-match", "\"1\"")]).await;
    assert_eq!((known.status, text(&known)), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(site.asked().len(), 2);
}

#[tokio::test]
async fn a_stale_file_is_served_at_once_while_it_is_refreshed() {
    let old = Reply::ok("old", "public, max-age=0, stale-while-revalidate=600");
    let site = Files::start([old, Reply::ok("new", LONG)]);
    let world = World::with_files(site.address).await;
    assert_eq!(text(&get(&world, &[]).await), "old");
    let gate = site.wait_for_me();
    let stale = get(&world, &[]).await;
    assert_eq!((text(&stale), status(&stale)), ("old", "bulkhead; hit; detail=stale"));
    gate.notify_one();
    world
        .eventually("the new one is kept", async || {
            (text(&get(&world, &[]).await) == "new").then_some(())
        })
        .await;
    assert_eq!(site.asked().len(), 2);
}

#[tokio::test]
async fn a_stale_file_is_served_when_no_site_answers_only_if_it_allows_it() {
    for (control, expected) in [
        ("public, max-age=0, stale-if-error=600", StatusCode::OK),
        ("public, max-age=0", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let mut site = Files::start([Reply::ok("file", control)]);
        let mut world = World::with_files(site.address).await;
        assert_eq!(get(&world, &[]).await.status, StatusCode::OK);
        site.dies().await;
        world.publish(8, &Is::Electing, site.address).await;
        let answer = get(&world, &[]).await;
        assert_eq!(answer.status, expected, "{control}");
    }
}

#[tokio::test]
async fn each_variant_is_kept_for_itself() {
    let varies = |body| Reply::ok(body, LONG).with("vary", "accept-language");
    let site = Files::start([varies("你好"), varies("hello")]);
    let world = World::with_files(site.address).await;
    for _ in 0..2 {
        for (language, expected) in [("zh", "你好"), ("en", "hello")] {
            assert_eq!(text(&get(&world, &[("accept-language", language)]).await), expected);
        }
    }
    assert_eq!(site.asked().len(), 2);
}

#[tokio::test]
async fn a_range_is_served_from_the_whole_file() {
    let site = Files::start([Reply::ok("0123456789", LONG)]);
    let world = World::with_files(site.address).await;
    get(&world, &[]).await;
    let part = get(&world, &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, text(&part)), (StatusCode::PARTIAL_CONTENT, "234"));
    assert_eq!(part.headers["content-range"], "bytes 2-4/10");
    let beyond = get(&world, &[("range", "bytes=20-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_purge_forgets_a_path_or_all_that_begin_so() {
    let site = Files::start([Reply::ok("file", LONG)]);
    let world = World::with_files(site.address).await;
    for path in ["/widget/a", "/widget/a?b", "/widget/c"] {
        world.client().ask_as_is(Method::GET, path, &[], "").await;
    }
    let purge = async |body: &str| {
        let (status, purged) = world.post_admin("/_bulkhead/cache/purge", body).await;
        (status.as_u16(), purged["purged"].as_u64())
    };
    assert_eq!(purge("{\"path\": \"/widget/a\"}").await, (200, Some(2)));
    assert_eq!(status(&get(&world, &[]).await), "bulkhead; fwd=uri-miss; stored");
    assert_eq!(purge("{\"prefix\": \"/widget/\"}").await, (200, Some(2)));
    assert_eq!(purge("{}").await.0, 400);
    assert_eq!(world.metric("router_cache_objects ").await, Some(0.0));
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_from_what_is_kept() {
    let site = Files::start([Reply::ok("file", LONG)]);
    let world = World::with_files(site.address).await;
    get(&world, &[]).await;
    let head = world.client().ask_as_is(Method::HEAD, "/widget/a", &[], "").await;
    assert_eq!((head.status, text(&head), status(&head)), (StatusCode::OK, "", "bulkhead; hit"));
    assert_eq!(head.headers["content-length"], "4");
}

async fn get(world: &World, headers: &[(&str, &str)]) -> Answer {
    world.client().ask_as_is(Method::GET, "/widget/a", headers, "").await
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn status(answer: &Answer) -> &str {
    answer.headers["cache-status"].to_str().unwrap()
}
