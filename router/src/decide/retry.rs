//! What a site's reply, or its silence, means for a request that was sent.

use http::{HeaderMap, Method, StatusCode};
use topology::wire::header;
use topology::wire::hint::Hint;

/// Share of a cell's requests that may be sent once more to the same site after a loss.
const BUDGET_SHARE: f64 = 0.1;
/// Retries saved up while all is well: a burst this large may be lost at once and still be repeated.
const BUDGET_MAX: f64 = 100.0;

/// What sending a request twice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeatable {
    /// No effect, however often.
    Safe,
    /// The same effect as once: by its method, or because the cell remembers its key (I9).
    Idempotent,
    /// Perhaps a second effect: never repeated once it may have been received.
    Never,
}

impl Repeatable {
    pub(crate) fn of(method: &Method, has_key: bool) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Safe,
            Method::PUT | Method::DELETE => Self::Idempotent,
            _ if has_key => Self::Idempotent,
            _ => Self::Never,
        }
    }
}

/// What a site's reply says about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It is the answer, whatever its status: a plain 5xx is the cell's own business.
    Answer,
    /// It is the answer: the site serves, and does not do this for now. Nothing was done.
    Refused,
    /// The site does not serve now. Nothing was done.
    NotServing,
    /// The site does not own the slot, or knows a later epoch. Nothing was done.
    Misdirected,
    /// The site lost its right while it worked: nobody knows whether the work lasts.
    OutcomeUnknown,
}

/// Reads a reply's head.
pub(crate) fn reply(status: StatusCode, headers: &HeaderMap) -> Reply {
    if status == StatusCode::MISDIRECTED_REQUEST {
        return Reply::Misdirected;
    }
    if status != StatusCode::SERVICE_UNAVAILABLE {
        return Reply::Answer;
    }
    if headers.get(header::OUTCOME).is_some_and(|outcome| outcome == "unknown") {
        Reply::OutcomeUnknown
    } else if headers.contains_key(header::STATE) {
        Reply::NotServing
    } else if headers.contains_key(header::REFUSED) {
        Reply::Refused
    } else {
        Reply::Answer
    }
}

/// Reads who serves, where a refusal says so. What cannot be understood says nothing.
pub(crate) fn hint(headers: &HeaderMap) -> Option<Hint> {
    headers.get(header::ACTIVE)?.to_str().ok()?.parse().ok()
}

/// Whether an answer only says that there was no room for this try: of an earlier one, which may
/// have had its effect, it says nothing.
pub(crate) fn is_of_this_try_alone(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}

/// How many lost requests of one cell may still be sent to the same site again. A later epoch costs
/// nothing, and neither does a refusal: there the site itself said that nothing happened.
#[derive(Debug)]
pub(crate) struct Budget(f64);

impl Default for Budget {
    fn default() -> Self {
        Self(BUDGET_MAX)
    }
}

impl Budget {
    /// Counts a new request.
    pub(crate) fn earn(&mut self) {
        self.0 = (self.0 + BUDGET_SHARE).min(BUDGET_MAX);
    }

    /// Takes one retry, if there is one.
    pub(crate) fn spend(&mut self) -> bool {
        let enough = self.0 >= 1.0;
        if enough {
            self.0 -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_post_or_patch_without_a_key_is_never_repeated() {
        let cases = [
            (Method::GET, false, Repeatable::Safe),
            (Method::HEAD, false, Repeatable::Safe),
            (Method::OPTIONS, false, Repeatable::Safe),
            (Method::PUT, false, Repeatable::Idempotent),
            (Method::DELETE, false, Repeatable::Idempotent),
            (Method::POST, true, Repeatable::Idempotent),
            (Method::PATCH, true, Repeatable::Idempotent),
            (Method::POST, false, Repeatable::Never),
            (Method::PATCH, false, Repeatable::Never),
        ];
        for (method, has_key, expected) in cases {
            assert_eq!(Repeatable::of(&method, has_key), expected, "{method}, key: {has_key}");
        }
    }

    #[test]
    fn only_typed_refusals_are_refusals() {
        let cases = [
            (200, "", "", Reply::Answer),
            (500, "", "", Reply::Answer),
            (503, "", "", Reply::Answer),
            (503, header::STATE, "draining", Reply::NotServing),
            (503, header::STATE, "fenced", Reply::NotServing),
            (503, header::OUTCOME, "unknown", Reply::OutcomeUnknown),
            (503, header::REFUSED, "at-risk", Reply::Refused),
            (500, header::REFUSED, "at-risk", Reply::Answer),
            (421, "", "", Reply::Misdirected),
            (500, header::STATE, "draining", Reply::Answer),
        ];
        for (status, name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            if !name.is_empty() {
                headers.insert(
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                );
            }
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(reply(status, &headers), expected, "{status} {name}: {value}");
        }
    }

    #[test]
    fn a_spent_budget_grows_back_by_a_tenth_of_the_requests() {
        let mut budget = Budget::default();
        while budget.spend() {}
        for _ in 0..11 {
            budget.earn();
        }
        assert!(budget.spend());
        assert!(!budget.spend());
    }
}
