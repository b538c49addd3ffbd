//! Asks for votes, and knows when enough have come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;
use topology::wire::agent::{VoteReply, VoteRequest};
use topology::{Activation, CellId, RegionId};

use crate::agents::Agents;
use crate::decide::choose::Vote;

/// How long a voter may take: it cuts its receiver and replays, 0.2 s measured
/// (`docs/decisions/0002`), ten times that under load.
const VOTE: Duration = Duration::from_secs(2);
/// How long a predecessor may take that does not answer probes: it is asked on the chance.
const UNLIKELY: Duration = Duration::from_millis(300);
/// How long the slowest is waited for once the votes suffice: it may be the furthest.
pub const LATECOMERS: Duration = Duration::from_millis(400);
/// The same where one vote is known to be enough: near ones freeze first, and nobody waits for far ones,
/// which freeze when they hear whom to follow.
pub const NEAR_ONES: Duration = Duration::from_millis(20);
/// How long a voter may take to say whether it would vote.
const DRY: Duration = Duration::from_millis(500);

/// What came back from the voters, and from the predecessor if it was asked.
#[derive(Debug, Default)]
pub struct Ballot {
    pub votes: BTreeMap<RegionId, Vote>,
    pub refusals: BTreeMap<RegionId, String>,
}

impl Ballot {
    fn took(&mut self, region: RegionId, reply: VoteReply) {
        match reply {
            VoteReply::Frozen { system, timeline, begun, lsn } => {
                self.votes.insert(region, Vote { system, timeline, begun, lsn });
            }
            VoteReply::Willing => {
                self.refusals.insert(region, "took the vote for a dry one".to_owned());
            }
            VoteReply::Refused { reason } => {
                self.refusals.insert(region, reason);
            }
        }
    }
}

/// What is waited for besides.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long for the slowest, once the votes suffice.
    pub latecomers: Duration,
    /// How far each voter comes before it freezes: what was sent there is under way.
    pub after_lsn: Option<u64>,
}

/// A site besides the voters whose word counts: the one whose right is over.
#[derive(Clone, Copy, Debug)]
pub enum Predecessor<'a> {
    /// There is none, or it need not be asked.
    Unasked,
    /// It has everything, weak writes included: it is waited for like a voter.
    Reachable(&'a RegionId),
    /// It is asked on the chance, and not waited for.
    Unreachable(&'a RegionId),
}

/// Freezes the voters under the activation's epoch and returns what they said: as soon as the votes
/// `suffice` and all who are waited for have answered, or the slowest has been waited for so long.
pub async fn collect(
    agents: &Agents,
    cell: &CellId,
    activation: &Activation,
    predecessor: Predecessor<'_>,
    suffice: impl Fn(&BTreeMap<RegionId, Vote>) -> bool,
    Patience { latecomers, after_lsn }: Patience,
) -> Ballot {
    let mut asked: FuturesUnordered<_> = activation
        .voters
        .iter()
        .map(|voter| (voter, VOTE, false))
        .chain(match predecessor {
            Predecessor::Unasked => None,
            Predecessor::Reachable(region) => Some((region, VOTE, true)),
            Predecessor::Unreachable(region) => Some((region, UNLIKELY, true)),
        })
        .map(|(region, limit, predecessor)| async move {
            let request = VoteRequest {
                cell: cell.to_string(),
                epoch: activation.epoch.0,
                dry: false,
                predecessor,
                ahead_ms: 0,
                after_lsn,
            };
            (region, agents.vote(region, &request, cell, limit).await)
        })
        .collect();
    let mut ballot = Ballot::default();
    let mut late = false;
    let mut pending: BTreeSet<&RegionId> = activation.voters.iter().collect();
    if let Predecessor::Reachable(region) = predecessor {
        pending.insert(region);
    }
    let waited = sleep(latecomers);
    tokio::pin!(waited);
    loop {
        if suffice(&ballot.votes) && (late || pending.is_empty()) {
            return ballot;
        }
        tokio::select! {
            answered = asked.next() => match answered {
                Some((region, reply)) => {
                    pending.remove(region);
                    ballot.took(region.clone(), reply);
                }
                None => return ballot,
            },
            () = &mut waited, if !late => late = true,
        }
    }
}

/// Asks every one of these sites to freeze under the activation's epoch, and waits for all: each may be
/// the furthest. Whichever of them was primary must have stopped.
pub async fn freeze_all(
    agents: &Agents,
    cell: &CellId,
    activation: &Activation,
    sites: impl Iterator<Item = (RegionId, bool)>,
) -> Ballot {
    let epoch = activation.epoch.0;
    let asked = sites.map(|(region, is_reachable)| async move {
        let cell_id = cell.to_string();
        let request = VoteRequest {
            cell: cell_id,
            epoch,
            dry: false,
            predecessor: true,
            ahead_ms: 0,
            after_lsn: None,
        };
        let limit = if is_reachable { VOTE } else { UNLIKELY };
        let reply = agents.vote(&region, &request, cell, limit).await;
        (region, reply)
    });
    let mut ballot = Ballot::default();
    for (region, reply) in join_all(asked).await {
        ballot.took(region, reply);
    }
    ballot
}

/// Asks, without any effect, whether an election under the next epoch would come to a result if it
/// were held so much later. Returns why not.
pub async fn would_suffice(
    agents: &Agents,
    cell: &CellId,
    activation: &Activation,
    predecessor: Predecessor<'_>,
    ahead: Duration,
) -> Result<(), String> {
    let epoch = activation.epoch.next().0;
    let ahead_ms = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
    let ask = |region: RegionId, predecessor: bool| async move {
        let cell_id = cell.to_string();
        let request =
            VoteRequest { cell: cell_id, epoch, dry: true, predecessor, ahead_ms, after_lsn: None };
        match agents.vote(&region, &request, cell, DRY).await {
            VoteReply::Willing => Ok((region, predecessor)),
            VoteReply::Frozen { .. } => Err(format!("{region}: voted though only asked")),
            VoteReply::Refused { reason } => Err(format!("{region}: {reason}")),
        }
    };
    let last = match predecessor {
        Predecessor::Unasked | Predecessor::Unreachable(_) => None,
        Predecessor::Reachable(region) => Some(ask(region.clone(), true)),
    };
    let mut asked: FuturesUnordered<_> =
        activation.voters.iter().map(|voter| ask(voter.clone(), false)).chain(last).collect();
    let mut willing = 0;
    let mut reasons = Vec::new();
    while let Some(answer) = asked.next().await {
        match answer {
            Ok((_, true)) => return Ok(()),
            Ok((_, false)) => willing += 1,
            Err(reason) => reasons.push(reason),
        }
        if willing >= activation.votes_needed() {
            return Ok(());
        }
    }
    let needed = activation.votes_needed();
    Err(format!("{willing} of {needed} votes needed ({})", reasons.join("; ")))
}
