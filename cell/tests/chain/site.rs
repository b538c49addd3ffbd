//! A site as the router meets it: gateway, session and ticket as they are, nlp and knowledge as
//! the test wants them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use cell::gateway::{Gateway, Right};
use cell::session::{self, Neighbours, Session};
use cell::ticket;
use client::follow::Followed;
use runtime::Tasks;
use runtime::clock::BootTime;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use topology::snapshot::RoutedCell;
use topology::spec::{Durability, Public};
use topology::wire::agent::TenureName;
use topology::{Activation, Epoch, Phase, Placement, SiteId, Slot, Snapshot, Version};
use tower::ServiceExt as _;

use super::postgres::{Database, Postgres};

pub(super) struct Site {
    pub(super) database: Database<'static>,
    pub(super) session: Arc<Session>,
    pub(super) neighbours: Arc<Fakes>,
    routes: Router,
    right: watch::Sender<Option<Right>>,
    /// Runs the neighbours for as long as the site is there.
    tasks: Tasks,
}

/// What nlp and knowledge do.
#[derive(Default)]
pub(super) struct Fakes {
    pub(super) nlp: Mutex<Mood>,
    pub(super) knowledge: Mutex<Mood>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Well,
    Broken,
    Silent,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Site {
    /// A site that serves behind its barrier, under epoch 7, for an hour.
    pub(super) async fn serving() -> Self {
        Self::on(Postgres::shared()).await
    }

    pub(super) async fn on(server: &'static Postgres) -> Self {
        Self::of(server.database().await, Durability::Weak).await
    }

    pub(super) async fn of(database: Database<'static>, messages: Durability) -> Self {
        let id: SiteId = "c1@east".parse().unwrap();
        let neighbours = Arc::<Fakes>::default();
        let mut tasks = Tasks::default();
        let nlp = Router::new().route("/v1/nlu/parse", post(parse)).with_state(neighbours.clone());
        let knowledge =
            Router::new().route("/v1/kb/search", post(search)).with_state(neighbours.clone());
        let at = Neighbours {
            nlp: serve(&mut tasks, nlp).await,
            knowledge: serve(&mut tasks, knowledge).await,
            ticket: serve(&mut tasks, ticket::routes(id.clone(), database.connections())).await,
        };
        let (right, heard) = watch::channel(None);
        // Nothing but the snapshot's last value is looked at.
        let (_, snapshot) = watch::channel(Some(everything_is_c1()));
        let connections = database.connections();
        let gateway = Gateway::new(id.clone(), snapshot, heard.clone(), connections.clone());
        let gateway = Arc::new(gateway);
        let session = Session::new(id, connections, messages, at, heard);
        let session = Arc::new(session);
        let routes = session::routes(Arc::clone(&session), gateway, at, Public::default());
        let site = Self { database, session, neighbours, routes, right, tasks };
        site.becomes(TenureName::Serving, true);
        site
    }

    /// Enough voters are there.
    pub(super) fn becomes(&self, tenure: TenureName, open: bool) {
        self.told(tenure, open, true);
    }

    /// Serves, with too few voters for a strong commit.
    pub(super) fn is_at_risk(&self, open: bool) {
        self.told(TenureName::Serving, open, false);
    }

    /// Serves, with voters that are far behind.
    pub(super) fn is_lagging(&self) {
        self.told(TenureName::Serving, true, true);
        self.right.send_modify(|right| {
            if let Some(right) = right {
                right.lagging = true;
            }
        });
    }

    fn told(&self, tenure: TenureName, open: bool, strong: bool) {
        let until = BootTime::now() + Duration::from_hours(1);
        let (epoch, lagging) = (Epoch(7), false);
        self.right.send_replace(Some(Right { tenure, epoch, until, open, strong, lagging }));
    }

    /// Serves over a real connection, for what a single request does not show.
    pub(super) async fn listen(&mut self) -> SocketAddr {
        serve(&mut self.tasks, self.routes.clone()).await
    }

    /// Asks as `user`, the way the router does. `key` may be empty for none.
    pub(super) async fn ask(
        &self,
        user: &str,
        (method, path): (Method, &str),
        key: &str,
        body: &Value,
    ) -> Answer {
        let extra: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("idempotency-key", key)] };
        self.ask_with(user, (method, path), extra, body).await
    }

    pub(super) async fn ask_with(
        &self,
        user: &str,
        call: (Method, &str),
        extra: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let slot = Slot::of(user).to_string();
        let mut headers = vec![("x-bulkhead-slot", slot.as_str())];
        headers.extend(extra);
        self.ask_as(user, call, &headers, body).await
    }

    /// Asks with the router's headers but for the slot, which `headers` say, if anything does.
    pub(super) async fn ask_as(
        &self,
        user: &str,
        call: (Method, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.send_as(user, call, headers, body).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(super) async fn send(
        &self,
        user: &str,
        call: (Method, &str),
        extra: &[(&str, &str)],
        body: Body,
    ) -> Response {
        let slot = Slot::of(user).to_string();
        let mut headers = vec![("x-bulkhead-slot", slot.as_str())];
        headers.extend(extra);
        self.send_as(user, call, &headers, body).await
    }

    async fn send_as(
        &self,
        user: &str,
        (method, path): (Method, &str),
        extra: &[(&str, &str)],
        body: Body,
    ) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-bulkhead-user", user)
            .header("x-bulkhead-cell", "c1")
            .header("x-bulkhead-epoch", "7");
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        self.routes.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    pub(super) async fn get(&self, user: &str, path: &str) -> Answer {
        self.ask(user, (Method::GET, path), "", &Value::Null).await
    }

    pub(super) async fn post(&self, user: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.ask(user, (Method::POST, path), key, body).await
    }

    /// Begins a conversation and returns its path.
    pub(super) async fn conversation(&self, user: &str) -> String {
        let key = uuid::Uuid::now_v7().to_string();
        let answer = self.post(user, "/v1/conversations", &key, &json!({})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.headers["location"].to_str().unwrap().to_owned()
    }

    /// Says something under a new key and returns the answer's body.
    pub(super) async fn say(&self, user: &str, conversation: &str, text: &str) -> Value {
        let key = uuid::Uuid::now_v7().to_string();
        let path = format!("{conversation}/messages");
        let answer = self.post(user, &path, &key, &json!({ "text": text })).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }
}

/// A snapshot in which c1 owns every slot.
fn everything_is_c1() -> Followed {
    let cell: topology::CellId = "c1".parse().unwrap();
    let east: topology::RegionId = "east".parse().unwrap();
    let placement = Placement::plan(&[(cell.clone(), 1)].into(), Version(1));
    let activation = Activation {
        epoch: Epoch(7),
        phase: Phase::Steady { active: east.clone() },
        voters: std::collections::BTreeSet::new(),
        retired: [].into(),
        acks: 0,
        system: None,
        elected_at: None,
        cause: None,
        reason: String::new(),
    };
    let gateways = [(east, SocketAddr::from(([127, 0, 0, 1], 1)))].into();
    let cells = [(cell, RoutedCell { activation, gateways })].into();
    let snapshot = Snapshot { version: Version(1), placement, cells };
    Followed { snapshot: Arc::new(snapshot), stale: false, rolled_back: None }
}

async fn serve(tasks: &mut Tasks, routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.start("serve a neighbour", |stop| runtime::server::serve(listener, routes, stop));
    address
}

/// The text names its intent, or is a topic: `human_agent: please`.
async fn parse(State(fakes): State<Arc<Fakes>>, Json(request): Json<Value>) -> Response {
    let text = request["text"].as_str().unwrap();
    let intent = text.split_once(": ").map_or("fallback", |(intent, _)| intent);
    let answer = json!({ "intent": { "name": intent, "confidence": 0.9 }, "entities": [] });
    let mood = *fakes.nlp.lock().unwrap();
    told(mood, answer).await
}

/// There is one article, and it is about refunds.
async fn search(State(fakes): State<Arc<Fakes>>, Json(request): Json<Value>) -> Response {
    let text = request["text"].as_str().unwrap();
    let decision = match text {
        text if text.contains("refund") => "answer",
        text if text.contains("money") => "suggest",
        _ => "none",
    };
    let hit = json!({ "article_id": "refund-time", "matched_question": "When is my refund here?",
                      "answer": "Within three days.", "score": 0.9, "channel": "bm25" });
    let mood = *fakes.knowledge.lock().unwrap();
    told(mood, json!({ "decision": decision, "hits": [hit] })).await
}

async fn told(mood: Mood, answer: Value) -> Response {
    match mood {
        Mood::Well => Json(answer).into_response(),
        Mood::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Silent => std::future::pending().await,
    }
}
