//! Who may open the next epoch, while a cell moves.

use topology::{Activation, Epoch, Phase, RegionId};

/// Returns which others may be elected, and the epoch that the winner opens; none while nobody is to be.
#[must_use]
pub fn successors(activation: &Activation, me: &RegionId) -> Option<(Epoch, Vec<RegionId>)> {
    let others: Vec<RegionId> = match &activation.phase {
        Phase::Switching { target, .. } => vec![target.clone()],
        Phase::Electing { predecessor } => {
            activation.voters.iter().chain(predecessor).cloned().collect()
        }
        Phase::Steady { .. } | Phase::Promoting { .. } => return None,
    };
    let others = others.into_iter().filter(|other| other != me).collect();
    Some((activation.epoch.next(), others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decide::fixture::{activation, region};

    #[test]
    fn while_a_cell_moves_whoever_may_win_opens_the_next_epoch() {
        let [east, north, south] = ["east", "north", "south"].map(region);
        let steady = activation(Phase::Steady { active: east.clone() });
        assert_eq!(successors(&steady, &north), None);

        let switching = steady.switch(&south, "planned").unwrap();
        let next = switching.promote(&south, None, "planned").epoch;
        assert_eq!(successors(&switching, &north), Some((next, vec![south.clone()])));
        assert_eq!(successors(&switching, &east), Some((next, vec![south.clone()])));
        assert_eq!(successors(&switching, &south), Some((next, vec![])));

        let electing = switching.elect("given up");
        let next = electing.promote(&north, None, "furthest").epoch;
        let others = vec![south.clone(), east.clone()];
        assert_eq!(successors(&electing, &north), Some((next, others)), "who served may win again");
        assert_eq!(successors(&electing, &east), Some((next, vec![north.clone(), south])));
        assert_eq!(successors(&electing.promote(&north, None, "furthest"), &east), None);
    }
}
