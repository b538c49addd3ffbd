//! A router that starts with nobody to ask.

use http::{Method, StatusCode};

use crate::site::Site;
use crate::world::World;

#[tokio::test]
async fn a_restarted_router_serves_by_what_it_last_knew_with_etcd_gone() {
    let site = Site::start([]);
    let mut world = World::with_site(site.address).await;
    world.restart_router_without_etcd().await;
    let answer = world.client().ask(Method::POST, &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK);
    let route =
        world.eventually("the router explains itself", async || world.explain().await).await;
    assert_eq!((&route["stale"], &route["epoch"]), (&true.into(), &7.into()));
    assert_eq!(world.metric("router_table_stale ").await, Some(1.0));
}
