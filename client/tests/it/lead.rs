//! Members say who leads, and the leader hands over.

use std::time::Duration;

use client::etcd::Standing;
use tokio::time::timeout;

use crate::heard::Pair;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_member_that_leads_is_known_and_hands_over_to_another() {
    let pair = Pair::start("lead").await;
    let etcd = pair.both();
    let agreed = async || loop {
        let standings: Option<Vec<Standing>> = etcd.standings().await.into_iter().collect();
        let Some(standings) = standings else { continue };
        let leads = standings.iter().position(|standing| standing.member == standing.leader);
        if let Some(leads) = leads
            && standings.iter().all(|standing| standing.leader == standings[leads].member)
        {
            return (leads, standings);
        }
    };
    let (before, standings) = timeout(LIMIT, agreed()).await.expect("one leads");
    let other = 1 - before;
    // On a busy machine it may be done later than it says.
    drop(etcd.hand_lead_to(before, standings[other].member).await);
    let moved = async { while agreed().await.0 != other {} };
    timeout(LIMIT, moved).await.expect("the other one leads");
    // Who leads no more cannot hand over.
    assert!(etcd.hand_lead_to(before, standings[before].member).await.is_err());
}
