//! Who leads etcd, and having another member lead.

use super::{Etcd, EtcdError};

/// What a member says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub member: u64,
    /// Whom it takes for the leader; 0 for nobody.
    pub leader: u64,
}

impl Etcd {
    /// Asks one member after the other who it is and who leads, in the order of the endpoints; `None` of one
    /// that does not answer.
    pub async fn standings(&self) -> Vec<Option<Standing>> {
        let mut standings = Vec::new();
        for member in self.members.iter() {
            standings.push(member.standing(self.patience).await);
        }
        standings
    }

    /// Has the leader, whose endpoint is the one with this index, hand over to another member. What comes
    /// meanwhile, for a round trip between the two or a little more, is dropped, and has to be asked again.
    pub async fn hand_lead_to(&self, leader: usize, member: u64) -> Result<(), EtcdError> {
        self.members[leader].hand_lead_to(member, self.patience).await
    }
}
