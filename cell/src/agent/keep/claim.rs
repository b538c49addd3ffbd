//! The site's claim to serve: begun before an epoch is opened, kept through a planned move, given up with
//! the gate closed first.

use runtime::clock::BootTime;
use topology::Epoch;

use super::{Keeper, Known, Tools};
use crate::agent::decide::right::{Right, lasts_from_vote};
use crate::agent::decide::tenure::{Event, Tenure};
use crate::agent::right;
use crate::agent::shared::{Claim, Shared, Standing};

impl Keeper {
    /// Closes the gate and gives the claim up; tells the voters if the database has stopped already.
    pub(super) async fn end_serving(&mut self, event: Event) {
        let claim = self.close_gate(event);
        release(&self.tools, claim).await;
    }

    /// From now on nothing is acknowledged here. Returns the claim that was held.
    pub(super) fn close_gate(&mut self, event: Event) -> Option<Claim> {
        self.serving = None;
        close_gate(&self.tools.shared, event)
    }

    pub(super) fn become_tenure(&self, event: Event) {
        self.tools.shared.standing.send_modify(|standing| {
            standing.tenure = standing.tenure.after(event).unwrap_or(standing.tenure);
        });
    }

    /// Begins to hold the right for an epoch, from the vote on that has won it; the gate stays closed until
    /// the database is the epoch's primary.
    pub(super) fn claim(&mut self, epoch: Epoch, known: &Known) {
        self.serving = None;
        let policy = &self.tools.site.spec.lease;
        let won = self.frozen.filter(|vote| {
            vote.elected(known.activation()) && lasts_from_vote(vote.at, BootTime::now(), policy)
        });
        self.tools.shared.right.send_modify(|right| {
            if right.epoch() != epoch {
                *right = Right::new(epoch);
            }
            if let Some(vote) = won {
                right.elected(vote.at, policy);
            }
        });
        let claim = Claim {
            epoch,
            revision: known.revision,
            voters: known.activation().voters.clone(),
            acks: known.activation().acks,
        };
        self.tools.shared.standing.send_modify(|standing| {
            *standing = Standing {
                tenure: Tenure::Standby,
                epoch,
                open: false,
                strong: false,
                lagging: false,
                claim: Some(claim),
            };
        });
    }

    /// Goes on holding the right of the epoch before under the record of a planned move.
    pub(super) fn keep_claim(&mut self, known: &Known) {
        self.tools.shared.standing.send_modify(|standing| standing.follow(known));
    }
}

/// Has the gateway acknowledge nothing more, and gives up the claim.
pub(super) fn close_gate(shared: &Shared, event: Event) -> Option<Claim> {
    let mut claim = None;
    shared.standing.send_modify(|standing| {
        claim = standing.claim.take();
        standing.tenure = standing.tenure.after(event).unwrap_or(standing.tenure);
        standing.open = false;
        standing.strong = false;
        standing.lagging = false;
    });
    claim
}

/// Tells the voters that what they promised is over. While PostgreSQL runs and may still acknowledge work,
/// promises stay in force; who hands over sees to that itself.
pub(super) async fn release(tools: &Tools, claim: Option<Claim>) {
    if let Some(claim) = claim.filter(|_| !tools.postgres.is_running()) {
        right::release(&tools.site, &tools.http, &claim).await;
    }
}
