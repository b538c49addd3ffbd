//! The event log, live: server-sent events that miss nothing the log still has.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use runtime::Problem;
use runtime::json_body::invalid;

use super::Api;
use crate::event_log::Event;

/// Proxies commonly close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams what happens from now on, or what came after `Last-Event-ID`.
pub(super) async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Line, Infallible>>>, Problem> {
    let newest = api.log.newest();
    let after = match headers.get("last-event-id").map(|id| id.to_str().map(str::parse::<u64>)) {
        None => *newest.borrow(),
        Some(Ok(Ok(id))) => id,
        Some(_) => {
            return Err(invalid("", "Last-Event-ID is a number, as in the events' `id:` lines"));
        }
    };
    let listener = Listener { api, newest, after, waiting: VecDeque::new() };
    let lines = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(line(&event)), listener))
    });
    Ok(Sse::new(lines).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Listener {
    api: Api,
    newest: tokio::sync::watch::Receiver<u64>,
    after: u64,
    waiting: VecDeque<Event>,
}

impl Listener {
    /// Returns the next event, or `None` when the process ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.id;
                return Some(event);
            }
            self.newest.borrow_and_update();
            self.waiting = self.api.log.after(self.after).into();
            if self.waiting.is_empty() {
                tokio::select! {
                    changed = self.newest.changed() => changed.ok()?,
                    () = self.api.stop.cancelled() => return None,
                }
            }
        }
    }
}

fn line(event: &Event) -> Line {
    let data = serde_json::to_string(event).expect("an event is plain JSON");
    Line::default().id(event.id.to_string()).event(event.name).data(data)
}
