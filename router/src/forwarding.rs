//! One request on its way, from its arrival to its answer.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::request::Parts;
use runtime::Problem;
use tokio::time::Instant;
use topology::Version;
use topology::wire::header::IDEMPOTENCY_KEY;
use tracing::Span;

use crate::decide::aim::Aim;
use crate::decide::hold::Evidence;
use crate::decide::retry::Repeatable;
use crate::decide::stale::{Accepts, Asked};
use crate::identity::Person;
use crate::load::Place;
use crate::public::Read;
use crate::release::Turn;
use crate::site::Site;
use crate::stream::{Carried, Kind};
use crate::table::Whose;

/// What Pingora carries from hook to hook.
pub(crate) struct Forwarding {
    pub(crate) arrived: Instant,
    pub(crate) span: Span,
    /// Who asks for what; none until the identity has been checked.
    pub(crate) asker: Option<Asker>,
    /// Instead of an asker, where nobody's identity is needed.
    pub(crate) read: Option<Read>,
    pub(crate) evidence: Evidence,
    /// A try was lost that may have had its effect.
    pub(crate) may_be_done: bool,
    pub(crate) attempt: Option<Attempt>,
    /// The standbys asked already.
    pub(crate) asked: Asked,
    /// The stream that is the answer, once it has begun.
    pub(crate) carried: Option<Carried>,
    /// After which time that stream had begun.
    began: Option<Duration>,
    /// The router's own answer, once it is clear that there will be no other.
    pub(crate) problem: Option<Problem>,
    /// The code of the router's own answer, once it is given.
    pub(crate) said: Option<String>,
}

pub(crate) struct Asker {
    pub(crate) person: Arc<Person>,
    /// What the request is for, and so where it goes.
    pub(crate) aim: Aim,
    /// What the cell knows the request's target as; none where that is what the client called it.
    pub(crate) target: Option<Uri>,
    pub(crate) repeatable: Repeatable,
    /// Asks for a stream, which is silent at times.
    pub(crate) stream: Option<Kind>,
    /// Whether an old answer is better than none.
    pub(crate) accepts: Accepts,
}

/// One try at a site.
pub(crate) struct Attempt {
    pub(crate) site: Arc<Site>,
    pub(crate) version: Version,
    /// The site does not serve, and is asked for what it has heard.
    pub(crate) is_stale: bool,
    /// Given back when the site replies.
    pub(crate) turn: Option<Turn>,
    /// Given back when the try is over.
    pub(crate) place: Place,
    /// The site has the request, or a part of it: from here on nobody knows what it did.
    pub(crate) sent: bool,
    /// The site's reply is on its way to the client, and cannot be taken back.
    pub(crate) answering: bool,
    /// Of the body, in this try: a replayed body is counted again.
    pub(crate) body_bytes: usize,
}

impl Forwarding {
    pub(crate) fn new() -> Self {
        Self {
            arrived: Instant::now(),
            span: Span::none(),
            asker: None,
            read: None,
            evidence: Evidence::None,
            may_be_done: false,
            attempt: None,
            asked: Asked::default(),
            carried: None,
            began: None,
            problem: None,
            said: None,
        }
    }

    pub(crate) fn waited(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// Notes that the answer has begun, and whether it is a stream.
    pub(crate) fn answers(&mut self, stream: Option<Kind>) {
        self.carried = stream.map(Carried::new);
        self.began = stream.map(|_| self.waited());
    }

    /// Returns how long the client has waited for its answer. A stream is one once it has begun: how long it
    /// lasts says nothing of the cell.
    pub(crate) fn answered_after(&self) -> Duration {
        self.began.unwrap_or_else(|| self.waited())
    }

    /// Notes that the try failed before anything was sent.
    pub(crate) fn unreachable(&mut self) {
        let failures = self.failures() + 1;
        let at = self.waited();
        let Some(attempt) = self.attempt.take() else { return };
        self.evidence = Evidence::Unreachable { epoch: attempt.site.epoch, at, failures };
    }

    /// Notes that the request was sent, and that no answer will come.
    pub(crate) fn lost(&mut self) {
        let failures = self.failures() + 1;
        let at = self.waited();
        let Some(attempt) = self.attempt.take() else { return };
        let repeatable = self.asker.as_ref().map(|asker| asker.repeatable);
        self.may_be_done |= repeatable != Some(Repeatable::Safe);
        self.evidence = Evidence::Lost { epoch: attempt.site.epoch, at, failures };
    }

    fn failures(&self) -> u32 {
        match &self.evidence {
            Evidence::Unreachable { failures, .. } | Evidence::Lost { failures, .. } => *failures,
            Evidence::None | Evidence::NotServing { .. } | Evidence::Misdirected { .. } => 0,
        }
    }
}

impl Asker {
    /// Returns what finds the request's cell.
    pub(crate) fn whose(&self) -> Whose<'_> {
        Whose { aim: &self.aim, user: &self.person.user }
    }

    /// Takes what matters of a request's head.
    pub(crate) fn new(person: Arc<Person>, aim: Aim, target: Option<Uri>, head: &Parts) -> Self {
        let stream = Kind::of(head);
        Self {
            person,
            aim,
            target,
            repeatable: Repeatable::of(&head.method, head.headers.contains_key(IDEMPOTENCY_KEY)),
            stream,
            accepts: Accepts::of(&head.method, &head.headers, stream.is_some()),
        }
    }
}

/// Returns a request's target with another path; none where the path is the same.
pub(crate) fn target(uri: &Uri, path: &str) -> Option<Uri> {
    if uri.path() == path {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // A part of a valid path is one.
    format!("{path}{query}").parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_waited_for_until_it_begins_and_anything_else_until_it_is_whole() {
        for (stream, expected) in [(Some(Kind::Events), 2), (Some(Kind::Socket), 2), (None, 32)] {
            let mut request = Forwarding::new();
            advance(Duration::from_secs(2)).await;
            request.answers(stream);
            advance(LONG).await;
            assert_eq!(request.answered_after(), Duration::from_secs(expected), "{stream:?}");
        }
    }
}
