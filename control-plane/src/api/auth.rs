//! Who may call what: viewers read, operators write. What takes an admin says so itself.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use runtime::Problem;

use super::{Api, audit};
use crate::callers::{Callers, Role};

pub use crate::callers::Caller;

/// What the routes are behind.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) callers: Callers,
    pub(super) api: Api,
}

impl Caller {
    /// Returns the problem of a caller whose role does not suffice.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!("{:?} is {}; this takes {role}", self.name, self.role);
        Err(Problem::new(403, "role-insufficient", "The caller's role does not allow this")
            .detail(detail)
            .with("required_role", role.as_str()))
    }
}

/// Lets a request pass whose caller is known and may do such a thing, and notes who it is. A write
/// that is refused, here or behind, is written down.
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
    if is_read(request.method()) {
        request.extensions_mut().insert(caller);
        return next.run(request).await;
    }
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
    let is_write = known && status != StatusCode::METHOD_NOT_ALLOWED;
    if status.as_u16() < 400 || !is_write || response.headers().contains_key(audit::HEADER) {
        return response;
    }
    audit::refused(&door.api, caller, what, response).await
}

/// Returns who calls, by the bearer token.
fn identify(callers: &Callers, headers: &HeaderMap) -> Result<Caller, Problem> {
    let Some(offered) = headers.get(header::AUTHORIZATION) else {
        return Err(unknown("token-missing", "There is no bearer token"));
    };
    let offered = offered.to_str().ok().and_then(|value| value.split_once(' '));
    let bearer = offered.filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = bearer else {
        return Err(unknown("token-malformed", "This is no bearer token"));
    };
    callers
        .verify(token.trim())
        .ok_or_else(|| unknown("token-unknown", "The bearer token is not known here"))
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn unknown(code: &str, title: &str) -> Problem {
    Problem::new(401, code, title)
        .detail("send a token of the control plane's callers as `Authorization: Bearer …`")
        .header("www-authenticate", "Bearer realm=\"bulkhead control plane\"")
}
