//! What the router tells: on its admin port, in its metrics and in its logs.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::{PATIENCE, World};

impl World {
    pub(super) async fn reason(&self, user: &str) -> Option<String> {
        let route = self.explain_for(user).await?;
        route["why"].as_str().map(str::to_owned)
    }

    /// Asks the router where `ada` goes; none where it does not know yet.
    pub(crate) async fn explain(&self) -> Option<Value> {
        self.explain_for("ada").await
    }

    pub(super) async fn explain_for(&self, user: &str) -> Option<Value> {
        let url = format!("http://127.{}.0.1:9080/_bulkhead/route?user={user}", self.network);
        self.http.get(&url, Duration::from_secs(1)).await.ok()
    }

    /// Asks something of the router's admin port.
    pub(crate) async fn admin(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.{}.0.1:9080{path}", self.network);
        self.http.get(&url, Duration::from_secs(1)).await.ok()
    }

    pub(crate) async fn post_admin(&self, path: &str, body: &str) -> (http::StatusCode, Value) {
        let url = format!("http://127.{}.0.1:9080{path}", self.network);
        let json = (http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let headers = http::HeaderMap::from_iter([json]);
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        let asked = self.http.call(http::Method::POST, &url, headers, body, Duration::from_secs(5));
        let answer = asked.await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// Returns a metric's value.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics().await;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Waits until a metric has a value: a router counts a request after whoever asked has the answer.
    pub(crate) async fn eventually_counts(&self, series: &str, expected: f64) {
        self.eventually(&format!("{series} is {expected}"), async || {
            self.metric(series).await.filter(|value| (value - expected).abs() < f64::EPSILON)
        })
        .await;
    }

    /// Returns all metrics.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://127.{}.0.1:9080/metrics", self.network);
        self.eventually("the router tells its metrics", async || {
            let (nothing, patience) = (http::HeaderMap::new(), Duration::from_secs(1));
            let body = bytes::Bytes::new();
            let answer = self.http.call(http::Method::GET, &url, nothing, body, patience).await;
            String::from_utf8(answer.ok()?.body.to_vec()).ok()
        })
        .await
    }

    /// Returns what the router has written down of its requests, once there are so many.
    pub(crate) async fn access_log(&self, lines: usize) -> String {
        let path = self.folder.join("routers/1/access.jsonl");
        self.eventually("the access log is written", async || {
            let text = fs::read_to_string(&path).ok()?;
            (text.lines().count() >= lines).then_some(text)
        })
        .await
    }

    /// Waits until so many requests are held.
    pub(crate) async fn held(&self, expected: f64) {
        self.eventually(&format!("{expected} requests are held"), async || {
            self.metric("router_held_requests ").await.filter(|held| (held - expected).abs() < 0.5)
        })
        .await;
    }

    /// Waits until the router has logged something.
    pub(crate) async fn eventually_said(&self, what: &str) {
        self.eventually_said_of("", what).await;
    }

    /// Waits until the router has logged something in a line that names somebody.
    pub(crate) async fn eventually_said_of(&self, whom: &str, what: &str) {
        let log = self.folder.join("router-1.log");
        self.eventually(&format!("the router says {what:?} of {whom:?}"), async || {
            let text = fs::read_to_string(&log).unwrap();
            text.lines().any(|line| line.contains(what) && line.contains(whom)).then_some(())
        })
        .await;
    }

    pub(super) async fn listening(&self) {
        self.eventually("the router listens", async || {
            tokio::net::TcpStream::connect(self.edge()).await.ok()
        })
        .await;
    }

    /// Asks again and again until there is an answer.
    pub(crate) async fn eventually<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.folder.join("router-1.log")).unwrap_or_default();
        panic!("waited in vain until {what}; the router said:\n{log}");
    }
}
