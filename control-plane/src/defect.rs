//! What a control plane does wrong on purpose, so that a drill's check is seen to catch it (`make selftest`):
//! nothing, unless it is built for that and told so.

use runtime::defect;
use topology::RegionId;

use crate::tasks::vote::Ballot;

/// Returns the site that is promoted in the place of the one that the votes elect: the one that is least far.
#[inline]
pub(crate) fn instead_of<'a>(winner: &'a RegionId, ballot: &'a Ballot) -> &'a RegionId {
    if !defect::is_on("lagging-standby-promoted") {
        return winner;
    }
    let least = ballot.votes.iter().min_by_key(|(_, vote)| (vote.timeline, vote.lsn));
    least.map_or(winner, |(region, _)| region)
}
