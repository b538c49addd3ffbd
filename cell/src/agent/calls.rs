//! What other processes ask an agent, over HTTP: the control plane, the other sites' agents, and
//! the site's own services.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use runtime::Problem;
use runtime::clock::BootTime;
use runtime::json_body::JsonBody;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use topology::wire::agent::{
    BegunTimeline, HandOverReply, HandOverRequest, PromiseReply, PromiseRequest, Renewal,
    VoteReply, VoteRequest,
};
use topology::{Epoch, Phase, RegionId};

use super::decide::right::promise_for_voter;
use super::decide::voter::Refusal;
use super::shared::Shared;
use crate::config::Site;

/// Calls waiting for the keeper: a handful of controllers ask, one thing each.
pub(crate) const CALLS: usize = 16;
/// A keeper that does not come round in this time is asked again by the next election.
const VOTE_TIME: Duration = Duration::from_secs(2);
/// How long a vote waits for a promise to end that stands in its way: what a site that hands over says to
/// its voters comes later than the vote where it is farther away than whoever asks.
const PROMISE_ENDS: Duration = Duration::from_millis(300);
/// How often it is looked meanwhile whether the promise has run out.
const LOOK: Duration = Duration::from_millis(20);
/// Draining, a fast stop, and what is left of a cancelled one.
const HAND_OVER_TIME: Duration = Duration::from_secs(4);

/// How often a service hears of the tenure at least.
const TENURE_REPEAT: Duration = Duration::from_secs(1);

/// How long who asks for the next renewal waits for it: a site that renews does so twice a second.
const NO_RENEWAL: Duration = Duration::from_secs(2);

/// How long who asks for a timeline waits for it: a promotion takes a few tenths of a second.
const NO_TIMELINE: Duration = Duration::from_secs(2);

/// Something only the keeper may answer: it owns PostgreSQL.
pub(crate) enum Call {
    Vote(VoteRequest, oneshot::Sender<VoteReply>),
    HandOver(HandOverRequest, oneshot::Sender<HandOverReply>),
}

#[derive(Clone)]
struct Agent {
    site: Arc<Site>,
    shared: Arc<Shared>,
    calls: mpsc::Sender<Call>,
}

pub(crate) fn routes(site: Arc<Site>, shared: Arc<Shared>, calls: mpsc::Sender<Call>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/renewal", get(renewal))
        .route("/v1/tenure", get(tenure))
        .route("/v1/timeline", get(timeline))
        .route("/v1/lost-writes", get(lost_writes))
        .route("/v1/promise", post(promise))
        .route("/v1/vote", post(vote))
        .route("/v1/hand-over", post(hand_over))
        .with_state(Agent { site, shared, calls })
}

async fn status(State(agent): State<Agent>) -> Response {
    match agent.shared.report.borrow().clone() {
        Some(report) => Json(report).into_response(),
        None => {
            Problem::new(503, "starting", "The agent has not looked around yet").into_response()
        }
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn renewal(State(agent): State<Agent>, Query(known): Query<After>) -> Json<Renewal> {
    let mut renewals = agent.shared.renewal.subscribe();
    let next = renewals.wait_for(|renewal| renewal.sequence != known.after);
    let renewal = match tokio::time::timeout(NO_RENEWAL, next).await {
        Ok(Ok(renewal)) => *renewal,
        Ok(Err(_)) | Err(_) => *agent.shared.renewal.borrow(),
    };
    Json(renewal)
}

#[derive(Deserialize)]
struct Under {
    epoch: u64,
}

async fn timeline(State(agent): State<Agent>, Query(asked): Query<Under>) -> Response {
    let mut begun = agent.shared.begun.subscribe();
    let is_asked = |begun: &Option<BegunTimeline>| {
        begun.as_ref().is_some_and(|begun| begun.epoch == asked.epoch)
    };
    let told = match tokio::time::timeout(NO_TIMELINE, begun.wait_for(is_asked)).await {
        Ok(Ok(begun)) => begun.clone(),
        Ok(Err(_)) | Err(_) => None,
    };
    told.map_or_else(
        || {
            Problem::new(503, "not-promoted", "The site has not been promoted under that epoch")
                .into_response()
        },
        |told| Json(told).into_response(),
    )
}

/// What this site had written that the cell's history went on without.
async fn lost_writes(State(agent): State<Agent>) -> Response {
    let folder = agent.site.folder().join("lost");
    let listed = tokio::task::spawn_blocking(move || super::lost_writes::list(&folder)).await;
    match listed.map_err(anyhow::Error::from).and_then(|listed| listed) {
        Ok(reports) => Json(reports).into_response(),
        Err(err) => Problem::new(500, "unreadable", "The lost writes cannot be read")
            .detail(format!("{err:#}"))
            .into_response(),
    }
}

/// One line now, at each change and every second, until the asker goes away.
async fn tenure(State(agent): State<Agent>) -> Response {
    let receiver = agent.shared.tenure.subscribe();
    let lines = stream::unfold((receiver, true), |(mut receiver, first)| async move {
        if !first {
            // Repeated without a change, so that a site whose agent is stuck is told from a quiet one.
            let news = tokio::time::timeout(TENURE_REPEAT, receiver.changed()).await;
            if let Ok(ended) = news {
                ended.ok()?;
            }
        }
        let mut line = serde_json::to_vec(&*receiver.borrow_and_update()).ok()?;
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), (receiver, false)))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

async fn promise(
    State(agent): State<Agent>,
    JsonBody(request): JsonBody<PromiseRequest>,
) -> Response {
    let Ok(from) = agent.peer(&request.cell, &request.region) else {
        return wrong_site(&agent.site);
    };
    let epoch = Epoch(request.epoch);
    if request.release {
        agent.shared.release(&from, epoch);
        return Json(PromiseReply { granted: false, reason: None }).into_response();
    }
    let known = agent.contender(&from);
    let lasts = promise_for_voter(&agent.site.spec.lease);
    let promised = agent.shared.voter().promise(&from, epoch, known, BootTime::now(), lasts);
    let reason = promised.err().map(|refusal| refusal.to_string());
    Json(PromiseReply { granted: reason.is_none(), reason }).into_response()
}

async fn vote(State(agent): State<Agent>, JsonBody(request): JsonBody<VoteRequest>) -> Response {
    if request.cell != agent.site.id.cell.as_str() {
        return wrong_site(&agent.site);
    }
    let refused = |reason: &str| VoteReply::Refused { reason: reason.to_owned() };
    if !request.dry {
        agent.promise_ends(Epoch(request.epoch)).await;
    }
    let reply = agent.ask(|reply| Call::Vote(request, reply), VOTE_TIME).await;
    Json(reply.unwrap_or_else(|| refused("busy with something else"))).into_response()
}

async fn hand_over(
    State(agent): State<Agent>,
    JsonBody(request): JsonBody<HandOverRequest>,
) -> Response {
    if request.cell != agent.site.id.cell.as_str() {
        return wrong_site(&agent.site);
    }
    let reply = agent.ask(|reply| Call::HandOver(request, reply), HAND_OVER_TIME).await;
    let late = || HandOverReply::Refused { reason: "did not stop in time".to_owned() };
    Json(reply.unwrap_or_else(late)).into_response()
}

fn wrong_site(site: &Site) -> Response {
    Problem::new(400, "wrong-site", "The request is for another cell")
        .detail(format!("this is {}", site.id))
        .into_response()
}

impl Agent {
    /// Hands a call to the keeper and waits for its answer; `None` if it has no time.
    async fn ask<T>(
        &self,
        call: impl FnOnce(oneshot::Sender<T>) -> Call,
        limit: Duration,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.calls.try_send(call(reply)).ok()?;
        tokio::time::timeout(limit, answer).await.ok()?.ok()
    }

    /// Waits while nothing but a promise is in the way of a vote, for a moment.
    async fn promise_ends(&self, epoch: Epoch) {
        let lasts = promise_for_voter(&self.site.spec.lease);
        let until = Instant::now() + PROMISE_ENDS;
        let mut released = self.shared.released.subscribe();
        let is_promised = || {
            let vote = self.shared.voter().may_vote(epoch, BootTime::now(), lasts);
            matches!(vote, Err(Refusal::Promised(_)))
        };
        while is_promised() {
            let now = Instant::now();
            if now >= until {
                return;
            }
            // Its own time may be over first, which nobody says.
            let look = until.min(now + LOOK);
            if let Ok(Err(_gone)) = tokio::time::timeout_at(look, released.changed()).await {
                return;
            }
        }
    }

    fn peer(&self, cell: &str, region: &str) -> Result<RegionId, ()> {
        let region = region.parse().map_err(|_invalid: topology::InvalidId| ())?;
        let member = cell == self.site.id.cell.as_str()
            && self
                .site
                .spec
                .cell(&self.site.id.cell)
                .is_some_and(|cell| cell.regions().any(|listed| *listed == region));
        if member { Ok(region) } else { Err(()) }
    }

    /// Returns the latest epoch known here in which a site other than `from` may serve.
    fn contender(&self, from: &RegionId) -> Epoch {
        let known = self.shared.known.borrow();
        let Some(activation) = known.as_ref().map(super::shared::Known::activation) else {
            return Epoch(0);
        };
        match &activation.phase {
            Phase::Steady { active }
            | Phase::Promoting { active }
            | Phase::Switching { active, .. }
                if active == from =>
            {
                Epoch(0)
            }
            Phase::Steady { .. }
            | Phase::Promoting { .. }
            | Phase::Switching { .. }
            | Phase::Electing { .. } => activation.epoch,
        }
    }
}
