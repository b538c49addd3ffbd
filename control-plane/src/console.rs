//! The operators' pages, served by every control plane: made here, live, and without anything from
//! elsewhere.
//!
//! Pages are read from the same state as the API (`page.rs`, start reading there); levers pull through
//! the API itself (`call.rs`). Without a script they are plain pages that load themselves again; with
//! it, what has changed is put in place (`live.rs` and `static/console.js`).

mod attention;
mod audit;
mod call;
mod cell;
mod cookie;
mod drills;
mod events;
mod files;
mod frame;
mod held;
mod language;
mod lever;
mod live;
mod operations;
mod overview;
mod page;
mod protect;
mod region;
pub mod session;
mod sign_in;
mod site;
mod texts;
mod vantages;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get, post};
use runtime::clock;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use topology::{RegionId, Spec};

use crate::api::Api;
use crate::callers::Callers;
use crate::decide;
use crate::decide::drills::Drills;
use crate::event_log::EventLog;
use crate::store::etcd::Store;
use crate::tasks::suite::Schedule;
use language::Language;
use page::Reader;
use session::Key;

/// The first page.
const HOME: &str = "/console";
/// Longest form: a token, or a reason.
const FORM_MAX: usize = 8 * 1024;
/// How long a browser remembers the language that was chosen.
const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;

/// What every page is made from.
#[derive(Clone)]
pub(crate) struct Console {
    spec: Arc<Spec>,
    vantage: RegionId,
    state: watch::Receiver<Arc<decide::State>>,
    store: Store,
    log: EventLog,
    drills: watch::Receiver<Arc<Drills>>,
    schedule: watch::Receiver<Option<Arc<Schedule>>>,
    callers: Callers,
    key: Key,
    /// The API as it is served, for what people do here.
    api: Router,
    attempts: sign_in::Attempts,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Console {
    pub(crate) fn new(api: &Api, routes: Router, callers: Callers, key: Key) -> Self {
        Self {
            spec: Arc::clone(&api.spec),
            vantage: api.vantage.clone(),
            state: api.state.clone(),
            store: api.store.clone(),
            log: api.log.clone(),
            drills: api.drills.clone(),
            schedule: api.schedule.clone(),
            callers,
            key,
            api: routes,
            attempts: sign_in::Attempts::default(),
            streams: Arc::new(Semaphore::new(live::STREAMS)),
            stop: api.stop.clone(),
        }
    }

    /// Returns a region's name for people.
    fn region_name(&self, id: &str) -> String {
        let region = self.spec.regions.iter().find(|region| region.id.as_str() == id);
        region.map_or_else(|| id.to_owned(), |region| region.name.clone())
    }
}

/// Returns the routes.
pub(crate) fn routes(console: Console) -> Router {
    let inside = Router::new()
        .route("/console", get(page::show))
        .route("/console/cells/{id}", get(page::show))
        .route("/console/regions/{id}", get(page::show))
        .route("/console/vantages", get(page::show))
        .route("/console/audit", get(page::show))
        .route("/console/drills", get(page::show))
        .route("/console/operations", get(page::show))
        .route("/console/operations/{id}/cancel", post(operations::cancel))
        .route("/console/cells/{id}/switchover", get(lever::preview).post(lever::confirm))
        .route("/console/cells/{id}/failover", get(lever::preview).post(lever::confirm))
        .route("/console/regions/{id}/evacuate", get(lever::preview).post(lever::confirm))
        .route("/console/regions/{id}/restore", get(lever::preview).post(lever::confirm))
        .route("/console/regions/{id}/drain", get(lever::preview).post(lever::confirm))
        .route("/console/regions/{id}/undrain", get(lever::preview).post(lever::confirm))
        .route(
            "/console/cells/{id}/sites/{region}/retire",
            get(lever::preview).post(lever::confirm),
        )
        .route("/console/cells/{id}/sites/{region}/add", get(lever::preview).post(lever::confirm))
        .route("/console/freeze", get(lever::preview).post(lever::confirm))
        .route("/console/unfreeze", get(lever::preview).post(lever::confirm))
        .route("/console/live", get(live::stream))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/{*rest}", any(nothing))
        .layer(from_fn_with_state(console.clone(), signed_in));
    let outside = Router::new()
        .route("/", get(|| async { Redirect::to(HOME) }))
        .route("/console/", get(|| async { Redirect::to(HOME) }))
        .route("/console/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/console/language/{tag}", get(choose_language))
        .route("/console/static/{name}", get(files::file));
    outside
        .merge(inside)
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(from_fn(protect::protect))
        .with_state(console)
}

/// Lets whoever is signed in pass, and notes who it is. Others are asked for their token first.
async fn signed_in(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let session = console.key.session(headers, clock::unix_millis());
    let caller =
        session.as_ref().and_then(|session| console.callers.of_fingerprint(&session.fingerprint));
    let (Some(session), Some(caller)) = (session, caller) else {
        return match request.uri().path() {
            "/console/live" => StatusCode::UNAUTHORIZED.into_response(),
            path => sign_in::ask(sign_in::own_path(path)).into_response(),
        };
    };
    let language = Language::of(headers);
    request.extensions_mut().insert(Reader { caller, session, language });
    next.run(request).await
}

async fn nothing(State(console): State<Console>, Extension(reader): Extension<Reader>) -> Response {
    page::missing(&console, &reader)
}

#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    back: String,
}

/// Remembers a language, and goes back to where the reader was.
async fn choose_language(Path(tag): Path<String>, Query(Back { back }): Query<Back>) -> Response {
    let language = Language::from_tag(&tag).unwrap_or(Language::English);
    let cookie = cookie::set(language::COOKIE, language.tag(), YEAR_SECONDS, false);
    ([(header::SET_COOKIE, cookie)], Redirect::to(sign_in::own_path(&back))).into_response()
}
