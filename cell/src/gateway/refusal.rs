//! How a request that is not answered is told so, in the words a router understands.

use runtime::Problem;
use topology::wire::header;

use super::decide::admit::Refusal;
use super::metrics::{self, Reason};

/// When to come back after there was no room.
const RETRY_AFTER_SECONDS: &str = "1";
/// When to come back while voters are missing: a restart in place takes a standby about as long.
const AT_RISK_SECONDS: &str = "2";
/// The code of what a site at risk refuses, and the name by which routers know that it serves all the same.
const AT_RISK: &str = "at-risk";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::RoutingHeaders(why) => routing_headers(why),
            Refusal::NotOwner { have, want } => {
                metrics::refused(Reason::NotOwner);
                Self::new(421, "not-owner", "The request belongs to another cell")
                    .with("have", have.as_str())
                    .with("want", want)
            }
            Refusal::StaleEpoch { have, want } => {
                metrics::refused(Reason::StaleEpoch);
                Self::new(421, "stale-epoch", "The request follows an epoch that is over")
                    .with("have", have.0)
                    .with("want", want.0)
            }
            Refusal::FailingOver => failing_over("the site is not active, or not yet"),
            Refusal::Draining => {
                metrics::refused(Reason::Draining);
                not_serving("draining", "the site hands over to another")
            }
            Refusal::Fenced => fenced(),
            Refusal::AtRisk => at_risk(),
        }
    }
}

/// The router's headers are missing, malformed or contradict each other.
pub fn routing_headers(why: &str) -> Problem {
    metrics::refused(Reason::RoutingHeaders);
    Problem::new(400, "routing-headers", "The routing headers are not usable").detail(why)
}

/// An agent asks for what is a contact's own to do.
pub fn contacts_only() -> Problem {
    Problem::new(403, "contacts-only", "This is for contacts only")
        .detail("an agent reads conversations and tickets by their ids, and moves tickets on")
}

/// Nothing has happened: the request waits for the cell to have an active site again.
pub fn failing_over(why: &str) -> Problem {
    metrics::refused(Reason::FailingOver);
    not_serving("failing-over", why)
}

/// Nothing has happened, or nothing that changed anything: the site's right has run out.
pub fn fenced() -> Problem {
    metrics::refused(Reason::Fenced);
    not_serving("fenced", "the site's right to serve has run out")
}

/// Nothing has happened. Not a state the router waits out: the site serves, and when enough voters
/// are back nobody knows.
pub fn at_risk() -> Problem {
    metrics::refused(Reason::AtRisk);
    Problem::new(503, AT_RISK, "Refused: too few regions hold a copy")
        .detail(
            "too few standby sites replicate this cell's data for what is strong to survive the \
             loss of a region; nothing was done; weak writes go on, and reads that may be old",
        )
        .header("retry-after", AT_RISK_SECONDS)
        .header(header::REFUSED, AT_RISK)
}

/// No room: shed before anything happened, so that what is in progress stays quick.
pub fn overload() -> Problem {
    metrics::refused(Reason::Overload);
    Problem::new(503, "overload", "There is no room for the request right now")
        .header("retry-after", RETRY_AFTER_SECONDS)
}

/// The work may or may not count. Never success: only a repetition can tell.
pub fn outcome_unknown() -> Problem {
    metrics::refused(Reason::OutcomeUnknown);
    Problem::new(503, "outcome-unknown", "Nobody knows whether the request took effect")
        .detail("repeat it with the same Idempotency-Key to learn")
        .header(header::OUTCOME, "unknown")
}

/// There is nothing of that name, or it is somebody else's.
pub fn not_found() -> Problem {
    Problem::new(404, "not-found", "There is no such thing")
}

pub fn not_allowed() -> Problem {
    Problem::new(405, "method-not-allowed", "The resource does not do that")
}

fn not_serving(state: &str, why: &str) -> Problem {
    Problem::new(503, state, "The site does not serve").detail(why).header(header::STATE, state)
}
