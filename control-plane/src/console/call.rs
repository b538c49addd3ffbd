//! Levers pull through the API, as whoever is signed in: there is one way to change something, with
//! one set of rules, refusals and records.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use runtime::Problem;
use serde_json::Value;
use tower::ServiceExt as _;

use super::Console;
use super::page::Reader;

/// Longest answer read: a problem or a plan, some kilobytes.
const ANSWER_MAX: usize = 256 * 1024;

/// Sends one request to the API of this process, and returns its answer or its problem.
pub(super) async fn call(
    console: &Console,
    reader: &Reader,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &Value,
) -> Result<Value, Problem> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut request = request.body(body).map_err(|err| broken(&err))?;
    request.extensions_mut().insert(reader.caller.clone());
    let response =
        console.api.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    let body = to_bytes(response.into_body(), ANSWER_MAX).await.map_err(|err| broken(&err))?;
    let read = |err: serde_json::Error| broken(&err);
    if status.is_success() {
        return if body.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(&body).map_err(read)
        };
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(problem),
        Err(_) if status == StatusCode::TOO_MANY_REQUESTS => {
            Err(Problem::new(429, "too-many-requests", "Too many requests"))
        }
        Err(err) => Err(broken(&err)),
    }
}

fn broken(err: &impl std::error::Error) -> Problem {
    Problem::new(500, "internal", "The API did not answer").detail(err.to_string())
}
