//! What the evidence says of each cell's active site.
//!
//! ```text
//!   four kinds            probes    users' traffic    the agent's own word    the lease
//!                            └────────────┴───────┬───────────┴──────────────────┘
//!   none                                    healthy
//!   one, or not for long                    suspect    nothing is done
//!   two for eight seconds, lease renewed    gray       it is moved where it would be better
//!   its own word that its disk is full      gray       likewise, after a second
//!   most vantages, and the lease silent     down       its successor is elected once its right is over
//! ```
//!
//! Nothing here shortens the patience by which a lease is judged: a verdict lets a cell be moved early,
//! or forbids it. When too much looks bad at once it is the observer that is doubted, and nothing is
//! moved.

pub mod gray;
pub mod matrix;

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use topology::wire::report::{Flush, Room};
use topology::wire::vantage::Health;
use topology::{CellId, Epoch, Phase, RegionId, SiteId};

use super::failover::{seconds, silent_since};
use super::happenings::{Happening, Kind as Logged};
use super::state::{SeenCell, SeenSite};
use super::{Policy, State};
use matrix::Matrix;

/// How long two kinds of evidence must have been there: longer than any restart in place takes, so
/// that a site that heals itself is left to it, and so short that it is seen within 15 s.
const GRAY: Duration = Duration::from_secs(8);
/// How long a site must have said that its database has no room to write in: that is measured, not felt, and
/// nobody but the site could know better. Longer than a file that comes and goes.
const FULL: Duration = Duration::from_secs(1);
/// Sites of several regions that turn bad within this time are an observer's fault.
pub(super) const AT_ONCE: Duration = Duration::from_secs(10);

/// Something that speaks against a site, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    pub kind: Kind,
    pub since: Instant,
    /// For people.
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What the vantages see, by their own probes.
    Probes,
    /// What users get, by the routers' counts.
    Traffic,
    /// What the site's agent says of itself.
    Report,
    /// The lease is not renewed.
    Lease,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Traffic => "traffic",
            Self::Report => "report",
            Self::Lease => "lease",
        }
    }
}

/// What a cell's active site is, by all that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no active site to judge: the cell is being moved, or made.
    None,
    Healthy,
    Suspect,
    Gray,
    Down,
}

impl Verdict {
    pub const ALL: [Self; 5] = [Self::None, Self::Healthy, Self::Suspect, Self::Gray, Self::Down];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Gray => "gray",
            Self::Down => "down",
        }
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Whom it is about.
    pub active: Option<RegionId>,
    /// Since when: the evidence that was needed for it.
    pub since: Option<Instant>,
    /// How long that evidence must have been there.
    pub patience: Duration,
    pub evidence: Vec<Against>,
}

/// Judges a cell.
#[must_use]
pub fn judge(cell: &CellId, seen: &SeenCell, matrix: &Matrix<'_>, world: World<'_>) -> Judgement {
    let Phase::Steady { active } = &seen.routed.activation.phase else {
        let (verdict, patience) = (Verdict::None, Duration::ZERO);
        return Judgement { verdict, active: None, since: None, patience, evidence: vec![] };
    };
    let World { state, policy, now } = world;
    let unreachable = matrix.unreachable(cell, active);
    let lease = lease(seen, state, policy, now);
    let seen_bad = probes(cell, active, matrix, now);
    // Few users come anew, and fail: where vantages that do so fail, too, that is all that is needed.
    let nobody = seen_bad.as_ref().and_then(|_| nobody(cell, state, now));
    let traffic = users(traffic(cell, state, now), nobody);
    let evidence: Vec<Against> =
        [seen_bad, traffic, report(cell, active, state, now), lease.clone()]
            .into_iter()
            .flatten()
            .collect();
    let mut since: Vec<Instant> = evidence.iter().map(|against| against.since).collect();
    since.sort_unstable();
    let (first, second) = (since.first().copied(), since.get(1).copied());
    let probed = evidence.iter().any(|against| against.kind == Kind::Probes);
    // A cell that is asked for far more than usual is slow everywhere.
    let is_busy = state.traffic(cell).is_some_and(|traffic| traffic.is_busy(now));
    let full = state.sites().get(&matrix::site(cell, active)).and_then(SeenSite::full_since);
    let full = full.filter(|since| now - *since >= FULL);
    let (verdict, since, patience) = match (first, second, full) {
        (Some(_), Some(second), _) if unreachable.is_some() && lease.is_some() => {
            (Verdict::Down, Some(second), Duration::ZERO)
        }
        (_, _, Some(full)) => (Verdict::Gray, Some(full), FULL),
        (Some(_), Some(second), None) if probed && !is_busy && now - second >= GRAY => {
            (Verdict::Gray, Some(second), GRAY)
        }
        (Some(first), _, None) => (Verdict::Suspect, Some(first), Duration::ZERO),
        (None, _, None) => (Verdict::Healthy, None, Duration::ZERO),
    };
    Judgement { verdict, active: Some(active.clone()), since, patience, evidence }
}

/// What a judgement is made from, besides the matrix.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub state: &'a State,
    pub policy: &'a Policy,
    pub now: Instant,
}

fn probes(cell: &CellId, active: &RegionId, matrix: &Matrix<'_>, now: Instant) -> Option<Against> {
    let agreed = matrix.agreed(cell, active)?;
    let what = format!(
        "{} for {} of {} vantages, for {}",
        agreed.health.name(),
        agreed.by,
        agreed.of,
        seconds(now - agreed.since)
    );
    Some(Against { kind: Kind::Probes, since: agreed.since, what })
}

fn traffic(cell: &CellId, state: &State, now: Instant) -> Option<Against> {
    let traffic = state.traffic(cell)?;
    let (health, since) = traffic.trouble(now)?;
    let lately = traffic.lately(now)?;
    let usual = traffic.usual().map_or_else(String::new, |usual| {
        format!("; usually {:.1} % and {:.0} ms", usual.failed_share * 100.0, usual.median_ms)
    });
    let what = format!(
        "{} for users: {:.1} % fail, {:.1} % find nobody, half take {:.0} ms or more{usual}",
        health.name(),
        lately.failed_share * 100.0,
        lately.unreachable_share * 100.0,
        lately.median_ms
    );
    Some(Against { kind: Kind::Traffic, since, what })
}

/// What few get, who come over new connections.
fn nobody(cell: &CellId, state: &State, now: Instant) -> Option<Against> {
    let traffic = state.traffic(cell)?;
    let (since, lately) = traffic.finds_nobody(now).zip(traffic.lately(now))?;
    let share = lately.unreachable_share * 100.0;
    let what =
        format!("routers find nobody {share:.1} % of the time, for {}", seconds(now - since));
    Some(Against { kind: Kind::Traffic, since, what })
}

/// Few find nobody at first, and then so many that all are badly off: that is one trouble, and as old as its
/// beginning.
fn users(all: Option<Against>, few: Option<Against>) -> Option<Against> {
    match (all, few) {
        (Some(all), Some(few)) => Some(Against { since: all.since.min(few.since), ..all }),
        (all, few) => all.or(few),
    }
}

fn report(cell: &CellId, active: &RegionId, state: &State, now: Instant) -> Option<Against> {
    let site = state.sites().get(&matrix::site(cell, active))?;
    let since = site.ails_since()?;
    let report = site.report()?;
    let silent = report.services.iter().filter(|(_, answers)| !**answers);
    let silent: Vec<&str> = silent.map(|(service, _)| service.as_str()).collect();
    let services =
        if silent.is_empty() { String::new() } else { format!(", silent: {}", silent.join(", ")) };
    let what = format!(
        "its agent says: PostgreSQL is {}{}{}{services}, for {}",
        report.postgres,
        report.flush.filter(|flush| flush.slow).map_or_else(String::new, flushes),
        report.room.filter(|room| room.full).map_or_else(String::new, left),
        seconds(now - since)
    );
    Some(Against { kind: Kind::Report, since, what })
}

fn flushes(flush: Flush) -> String {
    let ms = |us: u64| us.div_ceil(1000);
    let usual = flush.usual_us.map_or_else(String::new, |us| format!(", usually {} ms", ms(us)));
    format!(", its log takes {} ms to be on disk{usual}", ms(flush.latency_us))
}

fn left(room: Room) -> String {
    format!(", with {} KB left to write in", room.left_bytes / 1024)
}

/// Two renewals missed, in time in which etcd could be read.
fn lease(seen: &SeenCell, state: &State, policy: &Policy, now: Instant) -> Option<Against> {
    let since = silent_since(seen).max(state.unbroken_since()?);
    let missed = policy.lease.renew * 2;
    (now.saturating_duration_since(since) > missed).then(|| Against {
        kind: Kind::Lease,
        since,
        what: format!("lease silent for {}", seconds(now - since)),
    })
}

/// Returns the regions whose sites turned bad at about the same time as this one of `site`, if there is
/// more than the site's own. One region's loss explains every bad site in it, and nothing else.
#[must_use]
pub fn widespread(
    site: &SiteId,
    since: Instant,
    matrix: &Matrix<'_>,
    state: &State,
) -> Vec<RegionId> {
    let mut regions = vec![site.region.clone()];
    for other in state.sites().keys().filter(|other| other.region != site.region) {
        let Some(agreed) = matrix.column(other).agreed(Health::is_bad) else { continue };
        let apart = agreed.since.max(since) - agreed.since.min(since);
        if apart <= AT_ONCE && !regions.contains(&other.region) {
            regions.push(other.region.clone());
        }
    }
    regions.sort();
    if regions.len() > 1 { regions } else { Vec::new() }
}

impl Judgement {
    /// Returns what an operator would write in the logbook when this follows `before`.
    #[must_use]
    pub fn happening(
        &self,
        cell: CellId,
        epoch: Epoch,
        before: Option<Verdict>,
    ) -> Option<Happening> {
        let (is, was) = (self.verdict == Verdict::Gray, before == Some(Verdict::Gray));
        let (kind, reason) = match (was, is) {
            (false, true) => (Logged::Gray, "the active site is alive and of little use"),
            (true, false) => (Logged::GrayOver, "the active site is no longer gray"),
            (true, true) | (false, false) => return None,
        };
        let region = self.active.clone();
        let (reason, evidence) = (reason.to_owned(), self.to_string());
        Some(Happening { kind, cell, region, epoch, reason, evidence })
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, against) in self.evidence.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}: {}", against.kind.name(), against.what)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
