//! The ticket that each user keeps: moved on by compare-and-set, and read, again and again.
//!
//! Its version is all there is to know of it: a register that only ever grows by one. Which state a version
//! is follows from it, so that a transition never is an illegal one.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use crate::history::{Effect, FIRST_VERSION, Kind, kept_mark};

pub(super) struct Kept {
    id: String,
    /// The latest version that anybody was told of: what the next transition is decided on.
    seen: AtomicU64,
}

/// Returns what is written to open a user's ticket.
pub(super) fn body(run: &str, user: &str) -> Value {
    json!({ "subject": kept_mark(run, user), "description": "Kept by a drill." })
}

impl Kept {
    pub(super) fn new(id: String) -> Self {
        Self { id, seen: AtomicU64::new(FIRST_VERSION) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Returns a request about the ticket, and says in its head what an answer has to be.
    pub(super) fn request(
        &self,
        kind: Kind,
        from: Option<u64>,
        headers: &mut HeaderMap,
    ) -> (Method, String, Value) {
        let path = format!("/v1/tickets/{}", self.id);
        let accepts = match kind {
            Kind::WeakRead => "max-stale",
            Kind::Ticket | Kind::Message | Kind::Transition | Kind::StrongRead => "no-cache",
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(accepts));
        if kind != Kind::Transition {
            return (Method::GET, path, Value::Null);
        }
        let from = from.unwrap_or_else(|| self.seen());
        // Digits in quotes are a header's value.
        headers.extend(
            HeaderValue::try_from(format!("\"{from}\"")).map(|seen| (header::IF_MATCH, seen)),
        );
        (Method::POST, format!("{path}/transitions"), json!({ "to": state(from + 1) }))
    }

    /// Takes note of what an answer says. An old answer tells nothing new.
    pub(super) fn told(&self, effect: &Effect) {
        match effect {
            Effect::Changed { version }
            | Effect::Overtaken { version }
            | Effect::Read { version, .. } => {
                self.seen.fetch_max(*version, Ordering::Relaxed);
            }
            Effect::Ticket { .. } | Effect::Message { .. } => {}
        }
    }
}

/// Returns the state that a version is: new at first, then open and pending in turn.
fn state(version: u64) -> &'static str {
    match version {
        FIRST_VERSION => "new",
        version if version % 2 == 0 => "open",
        _ => "pending",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_goes_from_the_version_it_was_decided_on_to_a_state_that_may_follow() {
        let kept = Kept::new("tkt_1".to_owned());
        kept.told(&Effect::Changed { version: 4 });
        kept.told(&Effect::Read { version: 3, stale: true });
        assert_eq!(kept.seen(), 4);
        let mut headers = HeaderMap::new();
        let (method, path, body) = kept.request(Kind::Transition, Some(4), &mut headers);
        assert_eq!((method, path.as_str()), (Method::POST, "/v1/tickets/tkt_1/transitions"));
        assert_eq!(headers[header::IF_MATCH], "\"4\"");
        assert_eq!(body["to"], "pending");
        assert_eq!([1, 2, 3, 4].map(state), ["new", "open", "pending", "open"]);
    }

    #[test]
    fn only_a_weak_read_takes_an_old_answer() {
        let kept = Kept::new("tkt_1".to_owned());
        for (kind, accepts) in [(Kind::StrongRead, "no-cache"), (Kind::WeakRead, "max-stale")] {
            let mut headers = HeaderMap::new();
            let (method, path, _) = kept.request(kind, None, &mut headers);
            assert_eq!((method, path.as_str()), (Method::GET, "/v1/tickets/tkt_1"));
            assert_eq!(headers[header::CACHE_CONTROL], accepts);
        }
    }
}
