//! `/v1`: what operators and programs ask. Every control plane answers every call from what it
//! knows itself.

mod alerts;
pub(crate) mod audit;
pub mod auth;
mod call;
mod cells;
mod docs;
mod drills;
pub(crate) mod error;
mod etag;
mod events;
mod evidence;
mod explain;
mod freeze;
mod list;
mod lost_writes;
mod moves;
mod openapi;
mod operations;
mod platform;
pub(crate) mod problem;
mod rate;
mod sites;
pub(crate) mod view;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use topology::{RegionId, Spec};

use crate::agents::Agents;
use crate::decide::State;
use crate::decide::drills::Drills;
use crate::decision_log::DecisionLog;
use crate::event_log::EventLog;
use crate::store::etcd::Store;
use crate::tasks::deeds::Deed;
use crate::tasks::operate::UnderWay;
use crate::tasks::suite::Schedule;

use crate::callers::Callers;
use auth::Door;
use call::Calls;

/// What every call answers from.
#[derive(Clone)]
pub struct Api {
    pub spec: Arc<Spec>,
    /// Where this control plane is.
    pub vantage: RegionId,
    pub state: watch::Receiver<Arc<State>>,
    pub store: Store,
    pub agents: Agents,
    /// Operations that are written down as going on, to be carried out here.
    pub under_way: mpsc::Sender<UnderWay>,
    pub deeds: mpsc::Sender<Deed>,
    pub log: EventLog,
    pub drills: watch::Receiver<Arc<Drills>>,
    /// Of drills by schedule, where some are run so.
    pub schedule: watch::Receiver<Option<Arc<Schedule>>>,
    pub decisions: DecisionLog,
    /// Ends streams, which would go on for ever.
    pub stop: CancellationToken,
}

/// Every call, with its place in the document.
fn calls() -> Calls {
    Calls::default()
        .add(cells::list_call(), cells::list)
        .add(cells::one_call(), cells::one)
        .add(moves::switchover::call(), moves::switchover::switchover)
        .add(moves::failover::call(), moves::failover::failover)
        .add(sites::retire_call(), sites::retire)
        .add(sites::add_call(), sites::add)
        .add(lost_writes::call(), lost_writes::of_cell)
        .add(evidence::of_cell_call(), evidence::of_cell)
        .add(platform::regions_call(), platform::regions)
        .add(operations::evacuate_call(), operations::evacuate)
        .add(operations::restore_call(), operations::restore)
        .add(operations::drain_call(), operations::drain)
        .add(operations::undrain_call(), operations::undrain)
        .add(operations::list_call(), operations::list)
        .add(operations::one_call(), operations::one)
        .add(operations::cancel_call(), operations::cancel)
        .add(freeze::get_call(), freeze::get)
        .add(freeze::put_call(), freeze::put)
        .add(platform::sites_call(), platform::sites)
        .add(platform::routers_call(), platform::routers)
        .add(evidence::vantages_call(), evidence::vantages)
        .add(platform::snapshot_call(), platform::snapshot)
        .add(explain::call(), explain::explain)
        .add(alerts::call(), alerts::list)
        .add(audit::call(), audit::list)
        .add(drills::list_call(), drills::list)
        .add(drills::one_call(), drills::one)
        .add(events::call(), events::stream)
}

/// Returns the routes, for those who may call, and the pages that tell of them, for anybody.
pub fn routes(api: Api, callers: Callers) -> Router {
    let (calls, paths, schemas) = calls().parts();
    calls
        .fallback(|| async { error::no_such_route() })
        .method_not_allowed_fallback(|| async { error::method_not_allowed() })
        .layer(from_fn_with_state(Door::new(callers, api.clone()), auth::require))
        .with_state(api)
        .merge(openapi::routes(&openapi::document(&paths, &schemas)))
}

#[cfg(test)]
mod tests;
