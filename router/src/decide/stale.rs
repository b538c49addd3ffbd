//! Whether a read is answered by a site that does not serve, and by which.
//!
//! ```text
//!   the client says                asks a standby
//!   ────────────────────────────   ─────────────────────────────────────────────────────────────
//!   max-stale, max-stale=SECONDS   as soon as the active site is gone, refuses or is not reached
//!   nothing                        when waiting for the active site has been in vain
//!   no-cache, or no GET, a stream  never
//! ```
//!
//! An old answer changes nothing and is marked; a write never goes anywhere but to the active site.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use topology::snapshot::RoutedCell;
use topology::wire::header::STALE;
use topology::{Phase, RegionId};

use super::hold::{Evidence, Step, Target};

/// How long a read waits for an active site before a standby is asked: above a failover (3 to 5 s),
/// and a try at each of two standbys before the hold's deadline.
pub(crate) const AFTER: Duration = Duration::from_millis(7_900);
/// Standbys asked in one go; cells have two.
pub(crate) const TRIES_MAX: usize = 3;

/// How old an answer may be, and when the client takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// Only what the active site says.
    Never,
    /// Anything rather than nothing.
    AtLast,
    /// Rather than waiting; as old as this, if it says so.
    AtOnce { seconds_max: Option<u64> },
}

impl Accepts {
    /// Reads a request's head: `Cache-Control` as in RFC 9111, section 5.2.1.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, is_stream: bool) -> Self {
        if *method != Method::GET || is_stream {
            return Self::Never;
        }
        let mut accepts = Self::AtLast;
        let lines = headers.get_all(header::CACHE_CONTROL);
        for directive in
            lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','))
        {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-cache" => return Self::Never,
                "max-stale" => match value.trim().trim_matches('"') {
                    "" => accepts = Self::AtOnce { seconds_max: None },
                    // A number that is none is as if nothing had been said.
                    text => {
                        if let Ok(seconds) = text.parse() {
                            accepts = Self::AtOnce { seconds_max: Some(seconds) };
                        }
                    }
                },
                _ => {}
            }
        }
        accepts
    }

    /// Returns whether a standby's reply is the answer.
    pub(crate) fn is_answered(self, status: StatusCode, headers: &HeaderMap) -> bool {
        let has_nothing = status.is_server_error() || status == StatusCode::MISDIRECTED_REQUEST;
        !has_nothing && self.takes(headers.get(STALE))
    }

    /// Returns whether an answer that says so about its age will do.
    fn takes(self, age: Option<&HeaderValue>) -> bool {
        let seconds_max = match self {
            Self::Never => return age.is_none(),
            Self::AtLast | Self::AtOnce { seconds_max: None } => return true,
            Self::AtOnce { seconds_max: Some(seconds_max) } => seconds_max,
        };
        let Some(age) = age else { return true };
        let seconds = age.to_str().ok().and_then(|age| age.parse::<u64>().ok());
        seconds.is_some_and(|seconds| seconds <= seconds_max)
    }
}

/// When standbys are asked: for each occasion each of them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Occasion {
    /// The client would rather not wait.
    Early,
    /// Waiting has been in vain.
    Last,
}

/// The standbys that one request has asked, on the last occasion to ask any.
#[derive(Debug, Default)]
pub(crate) struct Asked(Option<(Occasion, Vec<RegionId>)>);

impl Asked {
    /// Returns which of these is to be asked next, and notes it; none when all have been, or when
    /// too many have, or on an occasion that is over.
    pub(crate) fn next<'a>(
        &mut self,
        occasion: Occasion,
        standbys: &[&'a RegionId],
    ) -> Option<&'a RegionId> {
        if self.0.as_ref().is_none_or(|(last, _)| *last < occasion) {
            self.0 = Some((occasion, Vec::new()));
        }
        let (last, asked) = self.0.as_mut()?;
        if *last > occasion || asked.len() >= TRIES_MAX {
            return None;
        }
        let next = standbys.iter().copied().find(|region| !asked.contains(*region))?;
        asked.push(next.clone());
        Some(next)
    }
}

/// Returns whether standbys are asked now, instead of the `step` decided otherwise.
pub(crate) fn occasion(
    accepts: Accepts,
    step: Step,
    evidence: &Evidence,
    target: Option<Target<'_>>,
    waited: Duration,
) -> Option<Occasion> {
    match (accepts, step) {
        (Accepts::Never, _) | (_, Step::Send | Step::SendWithinBudget) => return None,
        (Accepts::AtLast | Accepts::AtOnce { .. }, Step::Wait { .. } | Step::GiveUp) => {}
    }
    if step == Step::GiveUp || waited >= AFTER {
        return Some(Occasion::Last);
    }
    let is_gone = match evidence {
        Evidence::Unreachable { .. } | Evidence::NotServing { .. } => true,
        Evidence::None | Evidence::Misdirected { .. } | Evidence::Lost { .. } => {
            target.is_some_and(|target| !target.has_site)
        }
    };
    (is_gone && matches!(accepts, Accepts::AtOnce { .. })).then_some(Occasion::Early)
}

/// Returns whether standbys are asked instead of an active site that is left alone.
pub(crate) fn instead(accepts: Accepts) -> Option<Occasion> {
    match accepts {
        Accepts::Never => None,
        Accepts::AtLast | Accepts::AtOnce { .. } => Some(Occasion::Last),
    }
}

/// Returns until when a request waits that would otherwise wait until then.
pub(crate) fn until(accepts: Accepts, until: Duration, waited: Duration) -> Duration {
    match accepts {
        Accepts::Never => until,
        Accepts::AtLast | Accepts::AtOnce { .. } if waited >= AFTER => until,
        Accepts::AtLast | Accepts::AtOnce { .. } => until.min(AFTER),
    }
}

/// Returns a cell's sites that can show what they have heard, in the order in which they are asked:
/// the snapshot's, and the site that was active before last.
pub(crate) fn standbys(cell: &RoutedCell) -> Vec<&RegionId> {
    let (never, last) = match &cell.activation.phase {
        Phase::Steady { active } => (Some(active), None),
        Phase::Switching { active, .. } => (None, Some(active)),
        Phase::Electing { predecessor } => (None, predecessor.as_ref()),
        Phase::Promoting { .. } => (None, None),
    };
    let mut regions: Vec<&RegionId> =
        cell.gateways.keys().filter(|region| Some(*region) != never).collect();
    // What is kept out hears of nothing any more.
    regions.retain(|region| !cell.activation.is_out(region));
    regions.sort_by_key(|region| Some(*region) == last);
    regions
}

#[cfg(test)]
mod tests;
