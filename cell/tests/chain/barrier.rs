//! Strong work that comes before its epoch's barrier: it waits, and not too much of it.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use serde_json::json;
use topology::wire::agent::TenureName;

use super::site::{Answer, Site};

/// What two routers let go first.
const ROOM: usize = 32;
/// Longer than an answer takes that nothing is waited for.
const MOMENT: Duration = Duration::from_millis(300);

/// Whether somebody is not answered yet.
pub(super) async fn waits(asked: &mut Pin<Box<impl Future<Output = Answer>>>) -> bool {
    tokio::time::timeout(MOMENT, asked).await.is_err()
}

#[tokio::test]
async fn what_waits_goes_on_when_the_barrier_is_passed() {
    let site = Site::serving().await;
    site.becomes(TenureName::Serving, false);
    let mut asked = Box::pin(open(&site, 0));
    assert!(waits(&mut asked).await);
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);
    site.becomes(TenureName::Serving, true);
    assert_eq!(asked.await.status, 201);
}

#[tokio::test]
async fn what_waits_is_refused_when_the_voters_do_not_come() {
    let site = Site::serving().await;
    site.becomes(TenureName::Serving, false);
    let mut asked = Box::pin(open(&site, 0));
    assert!(waits(&mut asked).await);
    site.is_at_risk(false);
    let refused = asked.await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("at-risk")));
}

#[tokio::test]
async fn what_waits_is_told_when_the_site_serves_no_more() {
    let site = Site::serving().await;
    for tenure in [TenureName::Draining, TenureName::Fenced, TenureName::Standby] {
        site.becomes(TenureName::Serving, false);
        let mut asked = Box::pin(open(&site, 0));
        assert!(waits(&mut asked).await);
        site.becomes(tenure, false);
        let told = asked.await;
        if tenure == TenureName::Draining {
            is_to_come_back(&told);
        } else {
            // Whose right has run out vouches for nothing, not even that nothing happened.
            assert_eq!(told.headers["x-bulkhead-outcome"], "unknown", "{tenure:?}");
        }
    }
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);
}

#[tokio::test]
async fn who_finds_no_room_to_wait_is_told_to_come_back() {
    let site = Site::serving().await;
    site.becomes(TenureName::Serving, false);
    let asked = (0..=ROOM).map(|number| Box::pin(open(&site, number)));
    let (first, _, rest) = select_all(asked).await;
    is_to_come_back(&first);
    assert_eq!(rest.len(), ROOM);
    site.becomes(TenureName::Serving, true);
    for answer in join_all(rest).await {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

async fn open(site: &Site, number: usize) -> Answer {
    let ticket = json!({ "subject": "s", "description": "d" });
    site.post("ada", "/v1/tickets", &format!("k{number}"), &ticket).await
}

fn is_to_come_back(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.headers["x-bulkhead-state"], "failing-over");
}
