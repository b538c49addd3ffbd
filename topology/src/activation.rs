//! Which site of a cell is active, and what is happening to that.
//!
//! ```text
//!            lease gone                 furthest vote wins               it serves
//!  Steady ──────────────▶ Electing ───────────────────────▶ Promoting ───────────────▶ Steady
//!    │                      ▲                                   │ ▲                      │
//!    │ planned move         │ stopped, or too late              │ │ the same site comes  │
//!    └────────▶ Switching ──┴──────────────────▶ Promoting      │ └─ back under a new ◀──┘
//!                                                               └─ lease gone ▶ Electing   epoch
//! ```

use std::collections::BTreeSet;
use std::fmt;

use crate::{Cause, Epoch, Failure, Place, RegionId};

/// One cell's place in the world: the whole truth about who may serve it, under one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    pub epoch: Epoch,
    pub phase: Phase,
    /// The standbys whose flush counts for a strong commit, and whose votes elect a successor.
    pub voters: BTreeSet<RegionId>,
    /// The sites that people keep out: each leaves the voters, then follows nobody, and is no target.
    /// Never the holder.
    pub retired: BTreeSet<RegionId>,
    /// How many of the voters must have flushed before a strong commit is acknowledged (`k`).
    pub acks: usize,
    /// PostgreSQL's system identifier, once the cell's first database exists. A site with another
    /// one, or with none after this is set, never becomes active.
    pub system: Option<u64>,
    /// Where the site was that was elected last, when it was: what a standby has beyond that is not the
    /// cell's. `None` before the first election, and where it is not known.
    pub elected_at: Option<Place>,
    /// What began the change that led to this epoch; `None` where that is not known.
    pub cause: Option<Cause>,
    /// Why the last change was made, for people.
    pub reason: String,
}

/// Where the activation is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `active` serves.
    Steady { active: RegionId },
    /// A planned move: `active` hands over to `target`, and finishes what it has.
    Switching { active: RegionId, target: RegionId },
    /// Nobody may serve; the voters are asked.
    Electing { predecessor: Option<RegionId> },
    /// `active` has won, and opens its epoch.
    Promoting { active: RegionId },
}

impl Activation {
    /// Returns how many frozen votes a successor needs: `N − k + 1`, so that every set of voters
    /// able to acknowledge meets every set able to elect (I3, I5).
    #[must_use]
    pub fn votes_needed(&self) -> usize {
        (self.voters.len() + 1).saturating_sub(self.acks).max(1)
    }

    /// Returns the site that may hold the lease under this epoch.
    #[must_use]
    pub fn holder(&self) -> Option<&RegionId> {
        match &self.phase {
            Phase::Steady { active }
            | Phase::Switching { active, .. }
            | Phase::Promoting { active } => Some(active),
            Phase::Electing { .. } => None,
        }
    }

    /// Returns the site that serves users, if one does.
    #[must_use]
    pub fn serving(&self) -> Option<&RegionId> {
        match &self.phase {
            Phase::Steady { active } => Some(active),
            Phase::Switching { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => None,
        }
    }

    /// Returns the activation that follows when the holder's right is over: nobody may serve until
    /// the voters have spoken. That a site gave the cell up says nothing of who held it after that.
    #[must_use]
    pub fn elect(&self, reason: &str) -> Self {
        let predecessor = match &self.phase {
            Phase::Electing { predecessor } => predecessor.clone(),
            // A winner that dies while promoting is asked too: it may have opened its epoch already.
            Phase::Steady { active }
            | Phase::Switching { active, .. }
            | Phase::Promoting { active } => Some(active.clone()),
        };
        let next = self.changed(Phase::Electing { predecessor }, reason);
        let given_up = Cause::failure(Failure::GaveUp);
        let cause = next.cause.filter(|cause| self.holder().is_none() || *cause != given_up);
        Self { cause, ..next }
    }

    /// Returns the activation in which `winner`, which is frozen `at` this place, opens the next epoch.
    /// It leaves the voters, and the site it takes over from joins them.
    #[must_use]
    pub fn promote(&self, winner: &RegionId, at: Option<Place>, reason: &str) -> Self {
        let mut next = self.changed(Phase::Promoting { active: winner.clone() }, reason);
        let predecessor = match &self.phase {
            Phase::Electing { predecessor } => predecessor.as_ref(),
            Phase::Steady { active }
            | Phase::Switching { active, .. }
            | Phase::Promoting { active } => Some(active),
        };
        next.elected_at = at;
        next.voters.remove(winner);
        // Until it has left it may be the one that has everything (I5).
        next.retired.remove(winner);
        next.voters.extend(predecessor.filter(|region| *region != winner).cloned());
        next
    }

    /// Returns the activation once the site that is `Promoting` serves. The epoch stays.
    #[must_use]
    pub fn open(&self, active: &RegionId, reason: &str) -> Self {
        Self {
            phase: Phase::Steady { active: active.clone() },
            reason: reason.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the activation in which the active site is asked to hand over to `target`, or `None`
    /// if nothing serves, `target` does already, or it is no standby that could.
    #[must_use]
    pub fn switch(&self, target: &RegionId, reason: &str) -> Option<Self> {
        let active = self.serving()?;
        let may = self.voters.contains(target) && !self.retired.contains(target);
        (active != target && may).then(|| {
            let phase = Phase::Switching { active: active.clone(), target: target.clone() };
            self.changed(phase, reason)
        })
    }

    /// Returns the activation in which a standby is kept out, or let in again, or `None` if nothing
    /// serves or that is the site that does. The epoch and the voters stay: the active site lets it
    /// leave or join, one safe step at a time.
    #[must_use]
    pub fn keep_out(&self, standby: &RegionId, out: bool, reason: &str) -> Option<Self> {
        let active = self.serving()?;
        (active != standby).then(|| {
            let mut next = Self { reason: reason.to_owned(), ..self.clone() };
            if out {
                next.retired.insert(standby.clone());
            } else {
                next.retired.remove(standby);
            }
            next
        })
    }

    /// Returns the activation with what began the change that led to it.
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause: Some(cause), ..self }
    }

    /// Returns whether the site is kept out, and has left the voters.
    #[must_use]
    pub fn is_out(&self, site: &RegionId) -> bool {
        self.retired.contains(site) && !self.voters.contains(site)
    }

    fn changed(&self, phase: Phase, reason: &str) -> Self {
        // While nobody serves, what began that goes on, unless somebody says otherwise.
        let cause = self.cause.clone().filter(|_| self.serving().is_none());
        Self { epoch: self.epoch.next(), phase, cause, reason: reason.to_owned(), ..self.clone() }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady { active } => write!(f, "steady in {active}"),
            Self::Switching { active, target } => write!(f, "switching from {active} to {target}"),
            Self::Electing { predecessor: Some(region) } => write!(f, "electing after {region}"),
            Self::Electing { predecessor: None } => f.write_str("electing"),
            Self::Promoting { active } => write!(f, "promoting {active}"),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, {}", self.epoch, self.phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> Activation {
        Activation {
            epoch: Epoch(7),
            phase: Phase::Steady { active: region("east") },
            voters: [region("north"), region("south")].into(),
            retired: [].into(),
            acks: 1,
            system: Some(1),
            elected_at: None,
            cause: None,
            reason: String::new(),
        }
    }

    fn region(name: &str) -> RegionId {
        name.parse().unwrap()
    }

    #[test]
    fn after_a_failover_the_old_active_site_is_a_voter() {
        let at = Some(Place { timeline: 3, begun: 600, lsn: 700 });
        let next = steady().elect("lost").promote(&region("south"), at, "furthest");
        assert_eq!(next.epoch, Epoch(9));
        assert_eq!(next.voters, [region("east"), region("north")].into());
        assert_eq!(next.phase, Phase::Promoting { active: region("south") });
        assert_eq!(next.elected_at, at);
    }

    #[test]
    fn what_began_a_change_is_carried_along_until_the_next_begins() {
        let asked = Cause::operation("op-000001", "switchover");
        let switching = steady().switch(&region("south"), "").unwrap().because(asked.clone());
        let opened = switching.elect("aborted").promote(&region("south"), None, "furthest");
        let opened = opened.open(&region("south"), "opened");
        assert_eq!(opened.cause, Some(asked.clone()));
        assert_eq!(opened.keep_out(&region("north"), true, "").unwrap().cause, Some(asked));
        assert_eq!(opened.elect("lost").cause, None);
    }

    #[test]
    fn who_was_elected_has_given_nothing_up_though_that_began_it() {
        let given_up = Cause::failure(Failure::GaveUp);
        let electing = steady().elect("no room").because(given_up.clone());
        let another = electing.elect("too few votes");
        assert_eq!(another.cause, Some(given_up.clone()), "nobody has held it since");
        let promoting = another.promote(&region("south"), None, "furthest");
        assert_eq!(promoting.cause, Some(given_up));
        assert_eq!(promoting.elect("lost").cause, None);
    }

    #[test]
    fn every_acknowledging_set_meets_every_electing_set() {
        for voters in 1..=5usize {
            for acks in 1..=voters {
                let mut activation = steady();
                activation.voters = (0..voters).map(|n| region(&format!("r{n}"))).collect();
                activation.acks = acks;
                assert!(activation.votes_needed() + acks > voters, "N={voters} k={acks}");
                assert!(activation.votes_needed() <= voters, "N={voters} k={acks}");
            }
        }
    }

    #[test]
    fn the_site_that_serves_is_never_kept_out() {
        let (east, north) = (region("east"), region("north"));
        assert_eq!(steady().keep_out(&east, true, ""), None);
        assert_eq!(steady().elect("lost").keep_out(&north, true, ""), None);
        let kept_out = steady().keep_out(&north, true, "old disk").unwrap();
        assert_eq!(kept_out.epoch, steady().epoch);
        assert_eq!(kept_out.voters, steady().voters);
        assert_eq!(kept_out.retired, [north.clone()].into());
        assert!(!kept_out.is_out(&north), "it may have to be elected until it has left");
        assert_eq!(kept_out.switch(&north, ""), None);
        let elected = kept_out.elect("lost").promote(&north, None, "it alone has everything");
        assert_eq!(elected.retired, [].into());
        let let_in = kept_out.keep_out(&north, false, "new disk").unwrap();
        assert_eq!(let_in, Activation { reason: "new disk".to_owned(), ..steady() });
    }

    #[test]
    fn a_site_that_does_not_vote_is_no_target() {
        let mut activation = steady();
        activation.voters.remove(&region("north"));
        assert_eq!(activation.switch(&region("north"), ""), None);
        assert_eq!(activation.switch(&region("east"), ""), None);
    }
}
