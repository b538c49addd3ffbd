//! The API's document: OpenAPI 3.1, made from the calls themselves. Served as it is, as pages for
//! people, and each type of problem at its own address.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use runtime::Problem;
use serde_json::{Map, Value, json};

use super::call::refuse;
use super::problem::{self, Kind};

/// The pages run nothing and load nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
const ABOUT: &str = "\
What operators and programs ask. Every region's control plane answers every call, from what it sees \
itself; without etcd that is as old as its `Age`, and nothing is written. What etcd alone has is \
`etcd-unreachable` then: the audit log, where a user was at a moment that is over, and an operation that \
did not go on when etcd was last read. Problems are RFC 9457; an ETag is a version, or of the content \
where there is none. A path that is none answers `no-such-route`, a method that a path does not take \
`method-not-allowed`, and `/problems/{code}` of no type `unknown-problem`. Every write has its entry in \
the audit log, one that is refused, too, but for these: without a token that is known there is nobody \
to name (401), and whoever asks too often (429) \
shall not push out of the log what others did. For the same reason the refused writes of one caller are \
kept up to twenty in a row, and one a minute after those; the rest is in the process's own log. A dry \
run is no write.";

/// Problems that no call answers with: of paths, of methods and of types of problem that there are not.
pub(super) const ELSEWHERE: [&Kind; 3] =
    [&problem::NO_SUCH_ROUTE, &problem::METHOD_NOT_ALLOWED, &problem::UNKNOWN_PROBLEM];

/// Returns the document.
pub(super) fn document(paths: &Map<String, Value>, schemas: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bulkhead control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }],
        "tags": [
            { "name": "cells", "description": "How cells are, and moving them" },
            { "name": "platform", "description": "Regions, sites, routers, and where requests go" },
            { "name": "records", "description": "What happened, who did it, what needs a person" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": elsewhere(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "A token of the control plane's callers",
            } },
        },
    })
}

/// Returns what is answered to what is no call.
fn elsewhere() -> Map<String, Value> {
    let mut responses = Map::new();
    for kind in ELSEWHERE {
        let mut of_kind = Map::new();
        refuse(&mut of_kind, kind);
        responses.extend(of_kind.into_values().map(|response| (kind.code.to_owned(), response)));
    }
    responses
}

/// Returns the routes that anybody may read: they tell nothing of this platform.
pub(super) fn routes(document: &Value) -> Router {
    let page = Html(super::docs::page(document));
    let text = document.to_string();
    Router::new()
        .route(
            "/v1/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], text)),
        )
        .route("/docs", get(async move || guarded(page)))
        .route("/problems/{code}", get(one_problem))
}

async fn one_problem(Path(code): Path<String>) -> Result<Response, Problem> {
    let known = problem::KINDS.iter().find(|kind| kind.code == code);
    let kind = known.ok_or_else(|| problem::UNKNOWN_PROBLEM.problem())?;
    Ok(guarded(Html(super::docs::problem_page(kind))))
}

fn guarded(page: impl IntoResponse) -> Response {
    let mut response = page.into_response();
    response.headers_mut().insert(
        const { HeaderName::from_static("content-security-policy") },
        const { HeaderValue::from_static(POLICY) },
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, const { HeaderValue::from_static("no-cache") });
    response
}
