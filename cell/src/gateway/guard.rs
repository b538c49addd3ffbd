//! Admission before the work, the acknowledgement's gate after it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header as http_header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use client::follow::Followed;
use runtime::Problem;
use runtime::clock::BootTime;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use topology::wire::agent::TenureName;
use topology::wire::header;
use topology::wire::hint::Hint;
use topology::{Epoch, SiteId};

use super::caller::{Permit, said, text};
use super::decide::admit::{Admitted, Mode, Own, Refusal, Right, Said, admit, may_acknowledge};
use super::{metrics, refusal};
use crate::database::Connections;
use crate::database::age::{Age, age};

/// Requests worked on at once; a cell's database serves sixteen, the rest is waiting in order.
/// What comes on top would only be answered too late.
const IN_FLIGHT_MAX: usize = 256;

/// How long one request may keep its place, a body that never arrives included. Longer than any
/// step in it may take.
const WORK_MAX: Duration = Duration::from_secs(12);

/// What the gateway knows, and the room it has.
pub struct Gateway {
    site: SiteId,
    snapshot: watch::Receiver<Option<Followed>>,
    right: watch::Receiver<Option<Right>>,
    connections: Connections,
    room: Semaphore,
}

/// What the agent wants to know while it hands over. Streams do not count: they end by themselves
/// when the tenure does.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Work {
    tenure: Option<TenureName>,
    in_flight: usize,
}

impl Gateway {
    pub fn new(
        site: SiteId,
        snapshot: watch::Receiver<Option<Followed>>,
        right: watch::Receiver<Option<Right>>,
        connections: Connections,
    ) -> Self {
        metrics::begin();
        Self { site, snapshot, right, connections, room: Semaphore::new(IN_FLIGHT_MAX) }
    }

    /// Returns what the site is doing and how many requests are being worked on. Once it is
    /// draining with none, there are none and there will be none: a request takes its place before
    /// it looks at the tenure, and here it is the other way round.
    #[must_use]
    pub fn work(&self) -> Work {
        let tenure = self.right.borrow().map(|right| right.tenure);
        Work { tenure, in_flight: IN_FLIGHT_MAX - self.room.available_permits() }
    }

    /// Returns the right to serve as it changes, for work that outlives its request.
    #[must_use]
    pub fn right(&self) -> watch::Receiver<Option<Right>> {
        self.right.clone()
    }

    /// Takes a request's place, if there is one.
    pub(super) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire().ok()
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let stale_ok = method == Method::GET && text(headers, header::STALE_OK) == Some("1");
        let said = Said { stale_ok, ..said(headers) };
        let followed = self.snapshot.borrow();
        let placement = followed.as_ref().map(|followed| &followed.snapshot.placement);
        let own = Own { cell: &self.site.cell, placement, right: *self.right.borrow() };
        admit(said, own, BootTime::now())
    }

    /// Returns whether work that was admitted may be answered. An old answer needs no right.
    fn may_answer(&self, admitted: &Admitted) -> bool {
        match admitted.mode {
            Mode::Serve { .. } => {
                may_acknowledge(admitted.epoch, *self.right.borrow(), BootTime::now())
            }
            Mode::Stale => true,
        }
    }

    /// Says on a refusal who serves the cell, if another site does: the router may not have heard.
    fn point_on(&self, mut answer: Response) -> Response {
        let hint = self.snapshot.borrow().as_ref().and_then(|followed| {
            let activation = &followed.snapshot.cells.get(&self.site.cell)?.activation;
            let region = activation.serving().filter(|region| **region != self.site.region)?;
            Some(Hint { epoch: activation.epoch, region: region.clone() })
        });
        if let Some(Ok(value)) = hint.map(|hint| HeaderValue::try_from(hint.to_string())) {
            answer.headers_mut().insert(HeaderName::from_static(header::ACTIVE), value);
        }
        answer
    }

    /// Says on an answer where it was made.
    fn sign(&self, mut answer: Response, epoch: Option<Epoch>) -> Response {
        let epoch = epoch.or_else(|| self.right.borrow().map(|right| right.epoch));
        let said = [
            (header::CELL, Some(self.site.cell.to_string())),
            (header::REGION, Some(self.site.region.to_string())),
            (header::EPOCH, epoch.map(|epoch| epoch.to_string())),
        ];
        for (name, value) in said {
            if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        answer
    }
}

/// Puts the gateway in front of routes: no route under it can be reached without being admitted.
pub fn guard(routes: Router, gateway: Arc<Gateway>) -> Router {
    routes.layer(from_fn_with_state(gateway, pass))
}

async fn pass(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let Some(_room) = gateway.place() else {
        return gateway.sign(refusal::overload().into_response(), None);
    };
    let admitted = match gateway.admit(request.method(), request.headers()) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let answer = Problem::from(refusal).into_response();
            return gateway.point_on(gateway.sign(answer, None));
        }
    };
    let method = request.method().clone();
    request.extensions_mut().insert(Permit::new(admitted.epoch, admitted.mode));
    let work = tokio::time::timeout(WORK_MAX, async {
        match admitted.mode {
            Mode::Serve { .. } => next.run(request).await,
            Mode::Stale => read_stale(&gateway, request, next).await,
        }
    });
    let answer = work.await;
    let answer = match answer {
        Ok(answer) if gateway.may_answer(&admitted) => answer,
        Ok(_) if method == Method::GET => refusal::fenced().into_response(),
        Err(_late) if method == Method::GET => refusal::overload().into_response(),
        Ok(_) | Err(_) => refusal::outcome_unknown().into_response(),
    };
    gateway.sign(answer, Some(admitted.epoch))
}

/// Answers with what this site has heard of, and says how old that may be.
async fn read_stale(gateway: &Gateway, request: Request, next: Next) -> Response {
    let age = match age(&gateway.connections).await {
        Ok(age) => age,
        Err(failure) => return failure.into_response(),
    };
    metrics::read_stale();
    stale(next.run(request).await, age)
}

/// Marks an answer that may be old, for the client and for every cache on its way.
pub(super) fn stale(mut answer: Response, age: Age) -> Response {
    let age = HeaderValue::try_from(age.to_string()).expect("digits or a word");
    answer.headers_mut().insert(HeaderName::from_static(header::STALE), age);
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(http_header::CACHE_CONTROL, no_store);
    answer
}
