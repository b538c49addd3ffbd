//! Who may call what: viewers read, operators write. What takes an admin says so itself.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use runtime::Problem;
use tracing::info;

use super::problem::{self, Kind};
use super::rate::Rates;
use super::{Api, audit};
use crate::callers::{Callers, Role};

pub use crate::callers::Caller;

/// What the routes are behind.
#[derive(Clone)]
pub(super) struct Door {
    callers: Callers,
    rates: Arc<Rates>,
    api: Api,
}

impl Door {
    pub(super) fn new(callers: Callers, api: Api) -> Self {
        Self { callers, rates: Arc::default(), api }
    }
}

impl Caller {
    /// Returns the problem of a caller whose role does not suffice.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!("{:?} is {}; this takes {role}", self.name, self.role);
        Err(problem::ROLE_INSUFFICIENT
            .problem()
            .detail(detail)
            .with("required_role", role.as_str()))
    }
}

/// Lets a request pass whose caller is known, does not ask too often, and may do such a thing, and
/// notes who it is. A write that is refused, here or behind, is written down.
pub(super) async fn require(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Response {
    // The console calls for whoever is signed in there.
    let signed_in = request.extensions().get::<Caller>().cloned();
    let caller = match signed_in.map_or_else(|| identify(&door.callers, request.headers()), Ok) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = door.rates.take(&caller.name) {
        return problem.into_response();
    }
    if is_read(request.method()) {
        request.extensions_mut().insert(caller);
        return next.run(request).await;
    }
    let query = request.uri().query().unwrap_or_default();
    let is_dry = query.split('&').any(|part| part == "dry_run=true");
    let known = request.extensions().get::<MatchedPath>().is_some();
    let what = format!("{} {}", request.method(), request.uri().path());
    let response = match caller.require(Role::Operator) {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    let is_write = known && !is_dry && status != StatusCode::METHOD_NOT_ALLOWED;
    if status.as_u16() < 400 || !is_write || response.headers().contains_key(audit::HEADER) {
        return response;
    }
    if !door.rates.is_noted(&caller.name) {
        info!(who = caller.name, what, status = status.as_u16(), "refused, and not written down");
        return response;
    }
    audit::refused(&door.api, caller, what, response).await
}

/// Returns who calls, by the bearer token.
fn identify(callers: &Callers, headers: &HeaderMap) -> Result<Caller, Problem> {
    let Some(offered) = headers.get(header::AUTHORIZATION) else {
        return Err(unknown(&problem::TOKEN_MISSING));
    };
    let offered = offered.to_str().ok().and_then(|value| value.split_once(' '));
    let bearer = offered.filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = bearer else {
        return Err(unknown(&problem::TOKEN_MALFORMED));
    };
    callers.verify(token.trim()).ok_or_else(|| unknown(&problem::TOKEN_UNKNOWN))
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Returns the problem of a caller who is not known.
pub(super) fn unknown(kind: &Kind) -> Problem {
    kind.problem()
        .detail("send a token of the control plane's callers as `Authorization: Bearer …`")
        .header("www-authenticate", "Bearer realm=\"bulkhead control plane\"")
}
