//! What an election has come to that a person asked for.

use topology::{Activation, Phase};

use super::{Found, Going};
use crate::decide::operation::memory::Answer;
use crate::decide::operation::{Election, StepState};

impl Going<'_> {
    /// It is held once: whoever asked is told, and may ask again. What has been begun is seen through by the
    /// rules for elections that nobody drives. Where data loss was accepted those rules end nothing, and
    /// whoever goes on with the operation accepts it, too.
    pub(super) fn elected(&self, election: &Election) -> Found {
        let failed = |why: &str| Found::Ended(StepState::Failed(why.to_owned()));
        let Some(seen) = self.at.state.cells().get(&election.cell) else {
            return failed("there is no such cell");
        };
        let activation = &seen.routed.activation;
        // Without voters a forced epoch is opened when one is back; that is not waited for.
        let winner = match &activation.phase {
            Phase::Steady { active } => Some(active),
            Phase::Promoting { active } if election.accept_data_loss => Some(active),
            Phase::Promoting { .. } | Phase::Switching { .. } | Phase::Electing { .. } => None,
        };
        let winner = winner.filter(|_| activation.epoch > election.epoch);
        if let Some(winner) = winner
            && election.to.as_ref().is_none_or(|to| to == winner)
        {
            return Found::Elected(winner.clone(), self.done_under(activation.epoch, None));
        }
        match (self.memory.last(self.place), winner) {
            (Some((Answer::Refused(why), _)), _) => failed(why),
            (_, Some(other)) => failed(&format!("{other} was elected")),
            // The state of before its own answer may be seen after it.
            (Some((Answer::Done(_), _)), None) => self.stands(activation),
            (None, None) if self.memory.is_going_on(self.place) => self.stands(activation),
            (None, None) if has_begun(election, activation) => self.stands(activation),
            (None, None) if self.operation.cancel.is_some() => Found::LeftOut,
            (None, None) => self.carry_out("it was not begun".to_owned()),
        }
    }

    fn stands(&self, activation: &Activation) -> Found {
        self.wait(&format!("the cell is {}", activation.phase))
    }
}

/// Whether the cell shows that the election has been begun. An election that data loss is to end counts its
/// rounds by itself: its epoch tells nothing.
pub(in super::super) fn has_begun(election: &Election, activation: &Activation) -> bool {
    let counts_on = election.accept_data_loss && matches!(activation.phase, Phase::Electing { .. });
    activation.epoch > election.epoch && !counts_on
}
