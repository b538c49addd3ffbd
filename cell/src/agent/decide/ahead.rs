//! To whom a standby keeps a connection that it does not need yet, and under which epoch's name.

use topology::{Activation, Epoch, Phase, RegionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// The other site may be the next active one, and opens this epoch then.
    Under(Epoch),
    /// It has opened this epoch: what is kept under its name is about to be asked for, and no other is opened.
    Opened(Epoch),
    Nobody,
    /// The cell moves: what there is may be needed at any moment, and nothing else is opened.
    AsBefore,
}

/// Returns what `me` keeps to the site in `other`. A planned move and an election take two epochs each:
/// one that nobody opens, and the one that the winner opens.
#[must_use]
pub fn ahead(activation: &Activation, me: &RegionId, other: &RegionId) -> Ahead {
    match &activation.phase {
        Phase::Steady { active } if active == other => Ahead::Opened(activation.epoch),
        Phase::Steady { .. } if [me, other].iter().any(|site| activation.is_out(site)) => {
            Ahead::Nobody
        }
        Phase::Steady { .. } => Ahead::Under(activation.epoch.next().next()),
        Phase::Switching { .. } | Phase::Electing { .. } | Phase::Promoting { .. } => {
            Ahead::AsBefore
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decide::fixture::{activation, region};

    #[test]
    fn who_may_be_active_next_is_connected_to_under_the_epoch_it_would_open() {
        let east = Phase::Steady { active: region("east") };
        for (me, other, expected) in [
            ("north", "south", Ahead::Under(Epoch(9))),
            ("east", "south", Ahead::Under(Epoch(9))),
            ("north", "east", Ahead::Opened(Epoch(7))),
        ] {
            check(&east, (me, other), expected);
        }
    }

    #[test]
    fn while_the_cell_moves_nothing_is_closed() {
        let moving = [
            Phase::Switching { active: region("east"), target: region("south") },
            Phase::Electing { predecessor: None },
            Phase::Promoting { active: region("south") },
        ];
        for phase in &moving {
            check(phase, ("north", "south"), Ahead::AsBefore);
        }
    }

    #[test]
    fn who_is_kept_out_neither_follows_nor_is_followed() {
        let mut activation = activation(Phase::Steady { active: region("east") });
        activation.voters = [region("north")].into();
        activation.retired = [region("south")].into();
        let [north, south] = ["north", "south"].map(region);
        assert_eq!(ahead(&activation, &north, &south), Ahead::Nobody);
        assert_eq!(ahead(&activation, &south, &north), Ahead::Nobody);
    }

    #[test]
    fn the_epoch_is_the_one_that_a_winner_opens() {
        let [north, south] = ["north", "south"].map(region);
        let steady = activation(Phase::Steady { active: region("east") });
        let elected = steady.elect("lost").promote(&south, None, "furthest");
        assert_eq!(ahead(&steady, &north, &south), Ahead::Under(elected.epoch));
    }

    #[track_caller]
    fn check(phase: &Phase, (me, other): (&str, &str), expected: Ahead) {
        let told = ahead(&activation(phase.clone()), &region(me), &region(other));
        assert_eq!(told, expected, "{me} to {other} while {phase:?}");
    }
}
