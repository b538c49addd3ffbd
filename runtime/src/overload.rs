//! Refusing what is too much, at once, instead of making everybody wait.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use crate::Problem;

/// How long one request may take up a place, its body's arrival included.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Wraps routes so that at most `in_flight` requests are served at once; further ones are answered
/// 503 `overload` without being read.
pub fn bounded(routes: Router, in_flight: usize) -> Router {
    let places = Arc::new(Semaphore::new(in_flight));
    routes.layer(from_fn(move |request: Request, next: Next| {
        let places = Arc::clone(&places);
        async move { admit(&places, request, next).await }
    }))
}

async fn admit(places: &Semaphore, request: Request, next: Next) -> Response {
    let Ok(_place) = places.try_acquire() else {
        return Problem::new(503, "overload", "Too many requests at once")
            .header("retry-after", "1")
            .into_response();
    };
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(408, "request-timeout", "The request took too long").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn one_too_many_is_refused_and_a_place_that_is_free_again_is_given() {
        let (inside, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (entered, go) = (Arc::clone(&inside), Arc::clone(&leave));
        let wait = get(move || {
            let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
            async move {
                entered.notify_one();
                go.notified().await;
            }
        });
        let routes = bounded(Router::new().route("/", wait), 1);
        let ask = || routes.clone().oneshot(Request::new(Body::empty()));
        let refused = async {
            inside.notified().await;
            let refused = ask().await.unwrap();
            leave.notify_one();
            refused
        };
        let (served, refused) = tokio::join!(ask(), refused);
        assert_eq!(served.unwrap().status(), StatusCode::OK);
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "1");
        leave.notify_one();
        assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_ends_gives_its_place_back() {
        let hang = get(std::future::pending::<()>);
        let routes = bounded(Router::new().route("/", hang), 1);
        let answer = routes.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
