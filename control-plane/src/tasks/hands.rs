//! What carrying a decision out needs: the store, the agents, and the newest state.

use std::sync::Arc;

use client::etcd::Written;
use tokio::sync::{mpsc, watch};
use topology::snapshot::RoutedCell;
use topology::wire::agent::TenureName;
use topology::{Activation, CellId, RegionId, Spec};

use crate::agents::Agents;
use crate::decide::{Fact, Policy, State};
use crate::failpoint::Failpoint;
use crate::store::Kept;
use crate::store::etcd::{Store, Unchanged};

/// Cheap to clone: each piece of work has its own.
#[derive(Clone)]
pub struct Hands {
    pub spec: Arc<Spec>,
    pub policy: Arc<Policy>,
    pub store: Store,
    pub agents: Agents,
    pub state: watch::Receiver<Arc<State>>,
    pub facts: mpsc::Sender<Fact>,
    pub failpoint: Failpoint,
}

impl Hands {
    /// Replaces a cell's activation and makes that known here at once. `None` if somebody else was
    /// first.
    pub async fn replace(
        &self,
        cell: &CellId,
        routed: &RoutedCell,
        activation: Activation,
        unchanged: Unchanged,
    ) -> Option<Kept<RoutedCell>> {
        let value = RoutedCell { activation, gateways: routed.gateways.clone() };
        let Written { revision, version } =
            self.store.replace_cell(cell, &value, unchanged).await?;
        let kept = Kept { revision, version, value };
        self.tell(Fact::Wrote { cell: cell.clone(), kept: kept.clone() }).await;
        Some(kept)
    }

    /// Makes a fact known here at once.
    pub async fn tell(&self, fact: Fact) {
        // Closed only when the process ends; what was done stands either way.
        if self.facts.send(fact).await.is_err() {
            tracing::debug!("learned while stopping");
        }
    }

    /// Returns whether a site answers this observer now.
    #[must_use]
    pub fn is_reachable(&self, cell: &CellId, region: &RegionId) -> bool {
        self.state.borrow().site(cell, region).is_reachable()
    }

    /// Returns whether a site says of itself that it serves: by the voters' promises, if its lease
    /// is silent.
    #[must_use]
    pub fn says_it_serves(&self, cell: &CellId, region: &RegionId) -> bool {
        let state = self.state.borrow();
        let site = state.site(cell, region);
        site.is_reachable()
            && site.report().is_some_and(|report| match report.tenure {
                TenureName::Serving | TenureName::Draining => true,
                TenureName::Standby | TenureName::Fenced => false,
            })
    }
}
