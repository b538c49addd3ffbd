//! What the site should be doing, given the cell's activation.

use std::fmt;

use topology::{Activation, Epoch, Phase, RegionId};

/// A site's part in its cell, as the activation has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Open the epoch here: primary, then steady, and the barrier beside that.
    Open { epoch: Epoch },
    /// Go on serving under this epoch.
    Serve { epoch: Epoch },
    /// This site was serving under this epoch and does not any more (it restarted, or its database
    /// did): begin a new epoch in place, so that nothing of the old one can be mistaken for new.
    Reopen,
    /// Finish, stop PostgreSQL cleanly, and say where it ended.
    HandOver { epoch: Epoch },
    /// Replicate from there.
    Follow { upstream: RegionId, epoch: Epoch },
    /// People keep this site out, and it votes no more: replicate from nowhere.
    StayOut { epoch: Epoch },
    /// Change nothing: replicate from wherever, and be ready to vote.
    Wait,
    /// This site was the active one, and may not serve any more: stop PostgreSQL at once.
    StepDown,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { epoch } => write!(f, "open epoch {epoch}"),
            Self::Serve { epoch } => write!(f, "serve under epoch {epoch}"),
            Self::Reopen => f.write_str("begin a new epoch in place"),
            Self::HandOver { epoch } => write!(f, "hand over for epoch {epoch}"),
            Self::Follow { upstream, epoch } => write!(f, "follow {upstream} under epoch {epoch}"),
            Self::StayOut { epoch } => write!(f, "stay out of epoch {epoch}"),
            Self::Wait => f.write_str("wait"),
            Self::StepDown => f.write_str("step down"),
        }
    }
}

/// What the role depends on besides the activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The epoch this site is serving under, if it is.
    pub serving: Option<Epoch>,
    /// The epoch it is opening: its record says that it is open before whoever wrote that has heard so.
    pub opening: Option<Epoch>,
    /// The highest epoch this site has voted for: it follows nobody of that epoch or before.
    pub voted: Epoch,
    /// Whether its database runs as primary, or did when it last ran.
    pub primary: bool,
    /// Whether its database is a standby's.
    pub standby: bool,
}

/// Returns the part that `me` has in `activation`.
#[must_use]
pub fn role(activation: &Activation, me: &RegionId, own: Own) -> Role {
    let epoch = activation.epoch;
    match &activation.phase {
        // Nobody opens an epoch before one it has voted for: the record went back in time.
        Phase::Promoting { active } | Phase::Steady { active }
            if active == me && epoch < own.voted =>
        {
            Role::Wait
        }
        Phase::Promoting { active } if active == me => Role::Open { epoch },
        Phase::Steady { active } if active == me && own.serving == Some(epoch) => {
            Role::Serve { epoch }
        }
        Phase::Steady { active } if active == me && own.opening == Some(epoch) => {
            Role::Open { epoch }
        }
        // Who served has a primary's database: the record went back in time, to before the cell moved
        // away, and what was acknowledged since need not be here.
        Phase::Steady { active } if active == me && own.standby => Role::Wait,
        Phase::Steady { active } if active == me => Role::Reopen,
        Phase::Switching { active, .. } if active == me => Role::HandOver { epoch },
        Phase::Electing { .. } if own.serving.is_some() || own.primary => Role::StepDown,
        // In a planned move the standbys keep the name the active site counts, until the target
        // opens its epoch.
        Phase::Electing { .. } | Phase::Switching { .. } => Role::Wait,
        Phase::Promoting { .. } | Phase::Steady { .. } if epoch <= own.voted => Role::Wait,
        Phase::Promoting { .. } | Phase::Steady { .. } if activation.is_out(me) => {
            Role::StayOut { epoch }
        }
        Phase::Promoting { active } | Phase::Steady { active } => {
            Role::Follow { upstream: active.clone(), epoch }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decide::fixture;

    #[test]
    fn a_site_that_restarted_under_its_own_epoch_begins_a_new_one() {
        check("steady east", own(None, 0, true), &Role::Reopen);
        check("steady east", own(Some(7), 0, true), &Role::Serve { epoch: Epoch(7) });
    }

    #[test]
    fn a_record_that_says_open_before_the_write_is_answered_is_no_other_epoch() {
        let opening = |epoch| Own { opening: Some(Epoch(epoch)), ..own(None, 0, true) };
        check("steady east", opening(7), &Role::Open { epoch: Epoch(7) });
        check("steady east", opening(6), &Role::Reopen);
    }

    #[test]
    fn a_standby_does_not_begin_an_epoch_on_a_record_that_went_back() {
        let standby = Own { standby: true, ..own(None, 0, false) };
        check("steady east", standby, &Role::Wait);
        check("promoting east", standby, &Role::Open { epoch: Epoch(7) });
    }

    #[test]
    fn the_old_active_site_stops_before_anything_else() {
        check("electing", own(Some(6), 0, true), &Role::StepDown);
        check("electing", own(None, 0, true), &Role::StepDown);
        check("electing", own(None, 0, false), &Role::Wait);
    }

    #[test]
    fn who_has_voted_follows_only_later_epochs() {
        check("steady south", own(None, 7, false), &Role::Wait);
        check(
            "promoting south",
            own(None, 6, false),
            &Role::Follow { upstream: "south".parse().unwrap(), epoch: Epoch(7) },
        );
    }

    #[test]
    fn who_has_voted_later_does_not_believe_a_record_that_went_back() {
        check("steady east", own(None, 8, true), &Role::Wait);
        check("promoting east", own(None, 8, false), &Role::Wait);
        check("promoting east", own(None, 7, false), &Role::Open { epoch: Epoch(7) });
    }

    #[test]
    fn who_is_kept_out_follows_until_it_votes_no_more() {
        let [east, north] = ["east", "north"].map(|name| name.parse::<RegionId>().unwrap());
        let mut activation = activation("steady south");
        activation.retired = [east.clone(), north.clone()].into();
        let upstream = "south".parse().unwrap();
        let own = own(None, 0, false);
        assert_eq!(role(&activation, &north, own), Role::Follow { upstream, epoch: Epoch(7) });
        assert_eq!(role(&activation, &east, own), Role::StayOut { epoch: Epoch(7) });
        activation.phase = Phase::Electing { predecessor: None };
        assert_eq!(role(&activation, &east, own), Role::Wait);
    }

    #[test]
    fn in_a_planned_move_the_standbys_keep_the_name_that_counts() {
        check("switching south", own(None, 0, false), &Role::Wait);
        check("switching east", own(Some(6), 0, true), &Role::HandOver { epoch: Epoch(7) });
    }

    #[track_caller]
    fn check(phase: &str, own: Own, expected: &Role) {
        assert_eq!(role(&activation(phase), &"east".parse().unwrap(), own), *expected);
    }

    fn activation(phase: &str) -> Activation {
        let (name, active) = phase.split_once(' ').unwrap_or((phase, "east"));
        let active: RegionId = active.parse().unwrap();
        let phase = match name {
            "steady" => Phase::Steady { active },
            "promoting" => Phase::Promoting { active },
            "switching" => Phase::Switching { active, target: "north".parse().unwrap() },
            _ => Phase::Electing { predecessor: None },
        };
        fixture::activation(phase)
    }

    fn own(serving: Option<u64>, voted: u64, primary: bool) -> Own {
        let serving = serving.map(Epoch);
        Own { serving, opening: None, voted: Epoch(voted), primary, standby: false }
    }
}
