//! What an answer proves: done, not done, or nobody knows.

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use runtime::http_client::{Answer, CallError};
use serde::Deserialize;
use topology::Epoch;
use topology::wire::header;

use crate::history::{Effect, Failure, Kind, Outcome, Served};

/// Of a problem (RFC 9457), what a program branches on.
#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Ticket {
    id: String,
}

/// Of a ticket, and of the problem of one that was moved on meanwhile.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Deserialize)]
struct Turn {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    seq: u64,
}

pub(super) fn outcome(kind: Kind, answer: Result<Answer, CallError>) -> (Outcome, Option<Served>) {
    match answer {
        Ok(answer) => {
            let served = served(&answer.headers);
            (of_answer(kind, &answer), served)
        }
        Err(err) => (of_error(&err), None),
    }
}

fn of_answer(kind: Kind, answer: &Answer) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        let effect = match kind {
            Kind::Ticket => serde_json::from_slice::<Ticket>(&answer.body)
                .map(|ticket| Effect::Ticket { id: ticket.id }),
            Kind::Message => serde_json::from_slice::<Turn>(&answer.body)
                .map(|turn| Effect::Message { seq: turn.message.seq }),
            Kind::Transition => version(answer).map(|version| Effect::Changed { version }),
            Kind::StrongRead | Kind::WeakRead => {
                let stale = answer.headers.contains_key(header::STALE);
                version(answer).map(|version| Effect::Read { version, stale })
            }
        };
        return effect.map_or(Outcome::Unknown(Failure::Malformed), Outcome::Ok);
    }
    let code = code(answer);
    if kind == Kind::Transition
        && code == "stale-version"
        && let Ok(version) = version(answer)
    {
        return Outcome::Ok(Effect::Overtaken { version });
    }
    let says_unknown = code == "outcome-unknown" || answer.headers.contains_key(header::OUTCOME);
    let says_when = answer.headers.contains_key(RETRY_AFTER);
    let failure = Failure::Status { status: status.as_u16(), code, says_when };
    let is_definite = match status {
        // An earlier attempt on the way is still at it.
        StatusCode::CONFLICT => false,
        StatusCode::SERVICE_UNAVAILABLE => !says_unknown,
        status => status.is_client_error(),
    };
    if is_definite { Outcome::Fail(failure) } else { Outcome::Unknown(failure) }
}

/// Returns what kept a stream from being opened.
pub(super) fn refusal(answer: &Answer) -> Failure {
    let says_when = answer.headers.contains_key(RETRY_AFTER);
    Failure::Status { status: answer.status.as_u16(), code: code(answer), says_when }
}

fn code(answer: &Answer) -> String {
    let code = serde_json::from_slice::<Code>(&answer.body).map(|problem| problem.code);
    code.unwrap_or_else(|_| "no-problem".to_owned())
}

fn version(answer: &Answer) -> Result<u64, serde_json::Error> {
    serde_json::from_slice::<Versioned>(&answer.body).map(|ticket| ticket.version)
}

fn of_error(err: &CallError) -> Outcome {
    let failure = failure(err);
    if failure == Failure::Refused { Outcome::Fail(failure) } else { Outcome::Unknown(failure) }
}

pub(super) fn failure(err: &CallError) -> Failure {
    match err {
        CallError::Connect { .. } => Failure::Refused,
        CallError::Timeout { .. } => Failure::Timeout,
        CallError::Send { .. } | CallError::Receive { .. } => Failure::Reset,
        CallError::Address { .. } | CallError::Refused { .. } | CallError::Malformed { .. } => {
            Failure::Malformed
        }
    }
}

/// Returns who served, if the answer says all of it.
pub(super) fn served(headers: &HeaderMap) -> Option<Served> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    Some(Served {
        cell: text(header::CELL)?.parse().ok()?,
        region: text(header::REGION)?.parse().ok()?,
        epoch: Epoch(text(header::EPOCH)?.parse().ok()?),
        replayed: headers.contains_key(header::IDEMPOTENCY_REPLAYED),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn told(kind: Kind, status: u16, body: &str) -> Outcome {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        outcome(kind, Ok(Answer { status, headers: HeaderMap::new(), body })).0
    }

    fn status(status: u16, code: &str) -> Failure {
        Failure::Status { status, code: code.to_owned(), says_when: false }
    }

    #[test]
    fn a_success_says_what_was_done() {
        let ticket = Effect::Ticket { id: "tkt_1".to_owned() };
        assert_eq!(told(Kind::Ticket, 201, r#"{"id":"tkt_1","x":1}"#), Outcome::Ok(ticket));
        let body = r#"{"message":{"seq":3},"reply":{"seq":4}}"#;
        assert_eq!(told(Kind::Message, 201, body), Outcome::Ok(Effect::Message { seq: 3 }));
        assert_eq!(told(Kind::Ticket, 201, "{}"), Outcome::Unknown(Failure::Malformed));
    }

    #[test]
    fn a_ticket_that_was_moved_on_meanwhile_is_an_answer_and_no_failure() {
        let changed = told(Kind::Transition, 200, r#"{"id":"tkt_1","version":4}"#);
        assert_eq!(changed, Outcome::Ok(Effect::Changed { version: 4 }));
        let overtaken = r#"{"code":"stale-version","version":5}"#;
        let expected = Outcome::Ok(Effect::Overtaken { version: 5 });
        assert_eq!(told(Kind::Transition, 412, overtaken), expected);
        let other = r#"{"code":"stale-version"}"#;
        assert_eq!(told(Kind::Transition, 412, other), Outcome::Fail(status(412, "stale-version")));
    }

    #[test]
    fn a_read_says_whether_it_may_be_an_old_one() {
        let body = Bytes::from_static(br#"{"version":3}"#);
        for (kind, stale) in [(Kind::StrongRead, false), (Kind::WeakRead, true)] {
            let mut headers = HeaderMap::new();
            if stale {
                headers.insert(header::STALE, "7".parse().unwrap());
            }
            let answer = Answer { status: StatusCode::OK, headers, body: body.clone() };
            let expected = Outcome::Ok(Effect::Read { version: 3, stale });
            assert_eq!(outcome(kind, Ok(answer)).0, expected);
        }
    }

    #[test]
    fn only_what_certainly_was_not_done_has_failed() {
        let problem = |code: &str| format!(r#"{{"code":"{code}"}}"#);
        let told = |code, name: &str| told(Kind::Ticket, code, &problem(name));
        assert_eq!(told(400, "x"), Outcome::Fail(status(400, "x")));
        assert_eq!(told(503, "failing-over"), Outcome::Fail(status(503, "failing-over")));
        for (code, name) in [(503, "outcome-unknown"), (409, "in-progress"), (500, "x"), (502, "x")]
        {
            assert_eq!(told(code, name), Outcome::Unknown(status(code, name)));
        }
    }

    #[test]
    fn a_refusal_may_say_when_to_come_again() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, "2".parse().unwrap())]);
        let body = Bytes::from_static(br#"{"code":"at-risk"}"#);
        let answer = Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body };
        let code = "at-risk".to_owned();
        let expected = Outcome::Fail(Failure::Status { status: 503, code, says_when: true });
        assert_eq!(outcome(Kind::Ticket, Ok(answer)).0, expected);
    }

    #[test]
    fn the_headers_say_who_served() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CELL, "c1".parse().unwrap());
        headers.insert(header::REGION, "east".parse().unwrap());
        assert_eq!(served(&headers), None);
        headers.insert(header::EPOCH, "7".parse().unwrap());
        let expected = Served {
            cell: "c1".parse().unwrap(),
            region: "east".parse().unwrap(),
            epoch: Epoch(7),
            replayed: false,
        };
        assert_eq!(served(&headers), Some(expected.clone()));
        headers.insert(header::IDEMPOTENCY_REPLAYED, "true".parse().unwrap());
        assert_eq!(served(&headers), Some(Served { replayed: true, ..expected }));
    }
}
