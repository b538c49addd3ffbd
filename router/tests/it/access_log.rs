//! What a router writes down of its requests, and what it does not.

use http::Method;
use serde_json::Value;

use crate::client::{ada, token};
use crate::site::{Act, Site};
use crate::world::World;

#[tokio::test]
async fn a_failure_is_written_down_and_nothing_personal_with_it() {
    let site = Site::start([Act::Answer, Act::Answer, Act::HangUp]);
    let world = World::with_site(site.address).await;
    let token = format!("Bearer {}", token(&ada()));
    let path = "/v1/conversations/cnv_0ab01J8Z?access_token=s3cret";
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("authorization", token.as_str()), ("traceparent", trace)];
    for _ in 0..3 {
        world.client().ask_as_is(Method::POST, path, &headers, "hello").await;
    }
    let text = world.access_log(2).await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The first of a hundred, not the second, and the one that was lost.
    let whys: Vec<&Value> = lines.iter().map(|line| &line["why"]).collect();
    assert_eq!(whys, ["sampled", "failed"]);
    let (sampled, failed) = (&lines[0], &lines[1]);
    assert_eq!(sampled["status"], 200);
    assert_eq!(sampled["path"], "/v1/conversations/*");
    assert_eq!(sampled["cell"], "c1");
    assert_eq!(sampled["region"], "east");
    assert_eq!(sampled["epoch"], 7);
    assert_eq!(sampled["trace"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((&failed["status"], &failed["problem"]), (&503.into(), &"outcome-unknown".into()));
    for personal in ["ada", "s3cret", "access_token", "Bearer", "cnv_", "hello"] {
        assert!(!text.contains(personal), "{personal} is in {text}");
    }
}
