//! What a control plane sees of the sites' services, and tells the others: `control_plane::tasks::probe`
//! and `sight`.
//!
//! The canary's write is a flush and nothing more: no history has it, as none has a message in the log
//! that nobody reads.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cell::gateway::decide::admit::may_begin;
use control_plane::decide::Fact;
use control_plane::decide::state::Deep;
use topology::SiteId;
use topology::wire::vantage::{DeepOutcome, Health, VantageReport};

use super::controller::Hands;
use super::etcd::Put;
use super::{Proc, Sim};

const DEEP_PERIOD: Duration = Duration::from_secs(1);
const DEEP: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(2);
const NEWS: Duration = Duration::from_millis(200);

/// Asks a site's services for what users need, again and again.
pub async fn probe(hands: Hands, site: usize) {
    loop {
        let began = hands.proc.now();
        let outcome = hands.proc.sim.canary(&hands.proc, site).await;
        let took = hands.proc.now().since(began);
        let outcome = outcome.unwrap_or(DeepOutcome::Failed);
        let deep = Deep { outcome, took, anew: false };
        hands.learn(Fact::Tried { site: hands.proc.sim.site_id(site), deep });
        hands.proc.sleep(DEEP_PERIOD.saturating_sub(took)).await;
    }
}

/// Writes what is seen: regularly, and when something is another way.
pub async fn tell(hands: Hands) {
    let (mut sequence, mut told) = (0, BTreeMap::new());
    let mut last = hands.proc.now();
    loop {
        hands.proc.sleep(NEWS).await;
        let bad: BTreeMap<SiteId, Health> = {
            let state = hands.controller().state.borrow();
            let sites = state.sites().iter().map(|(id, site)| (id, site.health().0));
            let bad = sites.filter(|(_, health)| health.is_bad());
            bad.map(|(id, health)| (id.clone(), health)).collect()
        };
        if bad == told && hands.proc.now().since(last) < PERIOD {
            continue;
        }
        (told, last) = (bad, hands.proc.now());
        sequence += 1;
        let sites = {
            let state = hands.controller().state.borrow();
            let sites = state.sites().iter().map(|(id, site)| (id.to_string(), site.sighted()));
            sites.collect()
        };
        let report = Arc::new(VantageReport { sequence, sites });
        hands.proc.sim.tell(&hands.proc, Put::Vantage(hands.controller, report)).await;
    }
}

impl Sim {
    async fn canary(self: &Rc<Self>, from: &Proc, site: usize) -> Option<DeepOutcome> {
        self.call(from, self.sites[site].gateway, DEEP, move |gateway, reply| async move {
            let sim = Rc::clone(&gateway.sim);
            sim.dawdle(&gateway, site).await;
            let right = sim.sites[site].right.get();
            let serves = right.is_some_and(|right| may_begin(right, gateway.now()));
            if sim.pg_canary(&gateway, site, serves).await {
                reply.send(if serves { DeepOutcome::Wrote } else { DeepOutcome::Read });
            }
        })
        .await
    }

    /// Returns whether the server did what it was asked to.
    async fn pg_canary(self: &Rc<Self>, gateway: &Proc, site: usize, writes: bool) -> bool {
        let postgres = self.sites[site].postgres;
        let done = self.call(gateway, postgres, DEEP, move |proc, reply| async move {
            let sim = &proc.sim;
            if !sim.pg(site).is_ready() || (writes && sim.pg(site).is_standby()) {
                return;
            }
            if writes {
                sim.flush(&proc, site).await;
            }
            reply.send(());
        });
        done.await.is_some()
    }
}
