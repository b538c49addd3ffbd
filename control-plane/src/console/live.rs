//! A page's changes, as they are seen: what is in the page again, whenever it is something else.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event as Message, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use runtime::clock;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Console;
use super::events::sentence;
use super::page::{Page, Reader};

/// Streams of one process: every operator's browser has one for each page it has open. Each costs a
/// page made per second.
pub(super) const STREAMS: usize = 64;
/// How often a page is looked at. What happens is told at once; this is for what creeps.
const PERIOD: Duration = Duration::from_secs(1);
/// How soon a browser comes back that has lost its stream.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nothing may be said: the script calls a page stale after three times this.
const SILENCE: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
pub(super) struct Asked {
    page: String,
}

/// Streams a page's changes, and every event as a sentence.
pub(super) async fn stream(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(page) = Page::from_path(&asked.page) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(permit) = Arc::clone(&console.streams).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let newest = console.log.newest();
    let told = *newest.borrow();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Instant::now();
    let waiting = VecDeque::new();
    let watcher = Watcher {
        console,
        reader,
        page,
        newest,
        told,
        ticks,
        waiting,
        last: String::new(),
        spoke: now,
        over: false,
        _permit: permit,
    };
    let messages = unfold(watcher, |mut watcher| async move {
        let message = watcher.next().await?;
        Some((Ok::<_, Infallible>(message), watcher))
    });
    Sse::new(messages).into_response()
}

struct Watcher {
    console: Console,
    reader: Reader,
    page: Page,
    newest: watch::Receiver<u64>,
    /// The last event that was told.
    told: u64,
    ticks: tokio::time::Interval,
    waiting: VecDeque<Message>,
    /// The page as it was sent last.
    last: String,
    /// When anything was last sent.
    spoke: Instant,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// Returns the next message, or `None` when the session or the process is over.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                self.spoke = Instant::now();
                return Some(message);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                _ = self.ticks.tick() => {}
                changed = self.newest.changed() => changed.ok()?,
                () = self.console.stop.cancelled() => return None,
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        if !self.still_signed_in() {
            self.over = true;
            self.waiting.push_back(Message::default().event("over").data("signed out"));
            return;
        }
        // Without an answer the page is left as it is; the stream says that it lives, and why not.
        if let Ok(body) = self.page.body(&self.console, &self.reader).await
            && body != self.last
        {
            self.waiting.push_back(message("page", &body).retry(AGAIN));
            self.last = body;
        }
        for event in self.console.log.after(self.told) {
            self.told = event.id;
            let region = event.region.as_deref().map(|region| self.console.region_name(region));
            let said = sentence(self.reader.t(), &event, region.as_deref());
            self.waiting.push_back(message("said", &said));
        }
        if self.waiting.is_empty() && self.spoke.elapsed() >= SILENCE {
            self.waiting.push_back(Message::default().event("alive").data("-"));
        }
    }

    fn still_signed_in(&self) -> bool {
        let session = &self.reader.session;
        let caller = self.console.callers.of_fingerprint(&session.fingerprint);
        !session.is_over(clock::unix_millis()) && caller.as_ref() == Some(&self.reader.caller)
    }
}

/// As JSON, so that line ends stay within one line.
fn message(name: &str, text: &str) -> Message {
    let data = serde_json::to_string(text).expect("a string is plain JSON");
    Message::default().event(name).data(data)
}
