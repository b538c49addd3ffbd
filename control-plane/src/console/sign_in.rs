//! Signing in with a token, and out again.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{ConnectInfo, Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use runtime::clock;
use serde::Deserialize;
use tracing::{info, warn};

use super::frame::Frame;
use super::language::Language;
use super::page::{self, Page, Reader};
use super::protect::is_https;
use super::session::{self, Session};
use super::texts::{Texts, fill};
use super::{Console, HOME, cookie};
use crate::callers::Callers;

/// Attempts from one address at once: somebody who pastes the wrong thing a few times.
const BURST: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// One more attempt from there.
const EVERY: Duration = Duration::from_secs(6);
/// Addresses remembered before those that have been quiet are forgotten.
const ADDRESSES: usize = 1000;

/// How often each address may try.
#[derive(Clone)]
pub(super) struct Attempts(Arc<DefaultKeyedRateLimiter<IpAddr>>);

impl Default for Attempts {
    fn default() -> Self {
        let quota = Quota::with_period(EVERY).expect("not zero").allow_burst(BURST);
        Self(Arc::new(RateLimiter::keyed(quota)))
    }
}

impl Attempts {
    /// Counts one, or says how long to wait before the next.
    fn begin(&self, peer: IpAddr) -> Result<(), Duration> {
        if self.0.len() >= ADDRESSES {
            self.0.retain_recent();
        }
        let now = DefaultClock::default().now();
        self.0.check_key(&peer).map_err(|refused| refused.wait_time_from(now))
    }
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn<'a> {
    t: &'a Texts,
    /// Where to go afterwards.
    back: &'a str,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    back: String,
}

#[derive(Deserialize)]
pub(super) struct Offer {
    token: String,
    #[serde(default)]
    back: String,
}

#[derive(Deserialize)]
pub(super) struct Leaving {
    form_token: String,
}

pub(super) async fn show(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let language = Language::of(&headers);
    page(&console, language, &asked.back, None, StatusCode::OK)
}

pub(super) async fn sign_in(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(offer): Form<Offer>,
) -> Response {
    let (language, peer) = (Language::of(&headers), peer.ip());
    let t = language.texts();
    if let Err(wait) = console.attempts.begin(peer) {
        warn!(%peer, "sign-in refused: too many attempts");
        let seconds = wait.as_secs() + 1;
        let problem = fill(t.too_many_attempts, &[("seconds", &seconds.to_string())]);
        let status = StatusCode::TOO_MANY_REQUESTS;
        let page = page(&console, language, &offer.back, Some(problem), status);
        return ([(header::RETRY_AFTER, seconds.to_string())], page).into_response();
    }
    let token = offer.token.trim();
    let Some(caller) = console.callers.verify(token) else {
        info!(%peer, "sign-in refused: unknown token");
        let problem = Some(t.token_unknown.to_owned());
        return page(&console, language, &offer.back, problem, StatusCode::FORBIDDEN);
    };
    info!(%peer, caller = caller.name, role = %caller.role, "signed in");
    let session = Session::begin(Callers::fingerprint(token), clock::unix_millis());
    let value = console.key.seal(&session);
    let cookie = cookie::set(session::COOKIE, &value, session::LIFE_SECONDS, is_https(&headers));
    ([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&offer.back))).into_response()
}

pub(super) async fn sign_out(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    Form(form): Form<Leaving>,
) -> Response {
    if !console.key.is_form_token(&reader.session, &form.form_token) {
        return page::failed(&console, &reader, &Page::Overview, &page::form_expired(&reader));
    }
    info!(caller = reader.caller.name, "signed out");
    let cookie = cookie::set(session::COOKIE, "", 0, is_https(&headers));
    ([(header::SET_COOKIE, cookie)], Redirect::to("/console/sign-in")).into_response()
}

/// Sends somebody who is not signed in to where they can be, and then back.
pub(super) fn ask(path: &str) -> Redirect {
    Redirect::to(&format!("/console/sign-in?back={path}"))
}

/// Returns a path of the console, whatever is asked for: nobody is sent elsewhere from here.
pub(super) fn own_path(asked: &str) -> &str {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/-_.?=".contains(char);
    let own = asked == HOME || asked.starts_with("/console/");
    if own && asked.chars().all(plain) { asked } else { HOME }
}

fn page(
    console: &Console,
    language: Language,
    back: &str,
    problem: Option<String>,
    status: StatusCode,
) -> Response {
    let t = language.texts();
    let body = SignIn { t, back: own_path(back), problem }.render();
    Frame::outside(console, language, t.sign_in).answer(status, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_place() {
        for own in ["/console", "/console/cells/c1", "/console/audit?x=1"] {
            assert_eq!(own_path(own), own);
        }
        for other in
            ["", "/", "//evil.example", "https://evil.example", "/consoles", "/console/\r\nx"]
        {
            assert_eq!(own_path(other), HOME, "{other:?}");
        }
    }

    #[test]
    fn an_address_that_tries_too_often_waits_and_others_do_not() {
        let attempts = Attempts::default();
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        for _ in 0..BURST.get() {
            assert_eq!(attempts.begin(one), Ok(()));
        }
        assert!(attempts.begin(one).is_err_and(|wait| wait <= EVERY));
        assert_eq!(attempts.begin(other), Ok(()));
    }
}
