//! What a site answers to anybody, without asking who: the exception of I10.
//!
//! Active or standby makes no difference: nothing here depends on a user, a slot or an epoch, and
//! nothing is read from the database. Only the paths that `regions.yaml` makes public are answered so;
//! any other goes through the gate like the rest.

mod file;
mod widget;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use runtime::{Problem, server};
use tokio::sync::Semaphore;
use topology::spec::Public;
use tower::ServiceExt as _;

use super::pass_on::{PassOn, Target};
use super::refusal;
use file::File;

/// Answered at once: they are short, and a router asks elsewhere when there is no room.
const IN_FLIGHT_MAX: usize = 64;
/// Articles change with a release, which takes minutes to reach every site.
const ARTICLE_CACHE: &str = "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400";

struct Front {
    public: Public,
    routes: Router,
    room: Semaphore,
}

/// Puts what is public in front of what the gateway guards.
pub fn in_front(guarded: Router, public: Public, pass_on: &PassOn) -> Router {
    let routes = Router::new()
        .merge(widget::routes())
        .route("/v1/kb/articles/{id}", get(article).with_state(pass_on.knowledge_read()))
        .fallback(async || refusal::not_found());
    let routes = server::observed(routes);
    let front = Front { public, routes, room: Semaphore::new(IN_FLIGHT_MAX) };
    guarded.layer(from_fn_with_state(Arc::new(front), answer))
}

async fn answer(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || front.public.reads(request.uri().path()).is_none() {
        return next.run(request).await;
    }
    let Ok(_room) = front.room.try_acquire() else {
        return refusal::overload().into_response();
    };
    match front.routes.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// An article is the same in every cell: the knowledge base is part of a release.
async fn article(
    State(knowledge): State<Target>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
    let answer = knowledge.read(path).await?;
    if !answer.status.is_success() {
        return Ok((answer.status, [("content-type", "application/problem+json")], answer.body)
            .into_response());
    }
    let body: Bytes = answer.body;
    Ok(File::new("application/json", ARTICLE_CACHE, body).answer(&headers))
}

#[cfg(test)]
mod tests;
