//! Carries out a failover that a person asks for: an ordinary election, or, where data loss was
//! accepted, the promotion of whoever is furthest of those that are left.
//!
//! ```text
//!  electing ──▶ freeze every site that answers ──▶ last right over ──▶ promoting
//!      ▲                                                                  │
//!      └── the record was changed meanwhile, or somebody did not freeze ◀─┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use topology::{Activation, Cause, Epoch, Place, RegionId};
use tracing::{info, warn};

use super::elect::{Outcome, Why, lost, take_over, votes};
use super::hands::Hands;
use super::vote::{Ballot, freeze_all};
use crate::decide::asked_failover::{Asked, Refusal};
use crate::decide::choose::{Order, Vote};
use crate::decide::data_loss::{Blocked, GivesUp, Verdict, Word, verdict};
use crate::decide::failover::right_over_at;
use crate::decide::state::SeenCell;
use crate::store::etcd::Unchanged;

/// How long a forced promotion is tried: a right and the voters' promises may have to run out first,
/// and other control planes drive elections of the same cell meanwhile.
const FORCE: Duration = Duration::from_secs(15);
/// Pause between two rounds: a voter that refused may be free by then.
const ROUND: Duration = Duration::from_millis(300);

/// A failover that somebody asks for.
pub struct Failover {
    pub asked: Asked,
    /// Why data may be lost, if it may.
    pub accepted: Option<String>,
    /// The operation that it is.
    pub cause: Cause,
    /// Answered once somebody is being promoted, or as soon as it is known that nobody will be.
    pub reply: oneshot::Sender<Result<Elected, Unelected>>,
}

/// Somebody is being promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elected {
    pub from: Option<RegionId>,
    pub winner: RegionId,
    pub epoch: Epoch,
    /// How far each was that had frozen, and what is given up, where data loss was accepted.
    pub forced: Option<Forced>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    pub votes: BTreeMap<RegionId, Vote>,
    pub gives_up: GivesUp,
}

/// Why nobody, or somebody else, was promoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unelected {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the voters would elect nobody: {0}")]
    TooFewVotes(String),
    #[error("{winner} was further than {to} and is promoted under epoch {epoch}")]
    Further { to: RegionId, winner: RegionId, epoch: Epoch },
    #[error(transparent)]
    Blocked(#[from] Blocked),
    #[error("somebody else changed the cell first")]
    Overtaken,
}

/// Carries it out and answers who asked.
pub async fn fail_over(hands: &Hands, failover: Failover, seen: &SeenCell) -> Outcome {
    let Failover { asked, accepted, cause, reply } = failover;
    let (result, outcome) = match &accepted {
        None => ordinary(hands, &asked, cause, seen).await,
        Some(reason) => {
            let forced = Force { hands, asked: &asked, cause: &cause, reason };
            match forced.run(seen).await {
                Ok(elected) => {
                    let (winner, epoch) = (elected.winner.clone(), elected.epoch);
                    (Ok(elected), Outcome::Won { winner, epoch })
                }
                Err(unelected) => (Err(unelected), Outcome::Overtaken),
            }
        }
    };
    if reply.send(result).is_err() {
        info!(cell = %asked.cell, "nobody waits for the failover any more");
    }
    outcome
}

async fn ordinary(
    hands: &Hands,
    asked: &Asked,
    cause: Cause,
    seen: &SeenCell,
) -> (Result<Elected, Unelected>, Outcome) {
    let reason = format!("failover asked for in {}", hands.policy.vantage);
    let why = Why { reason, cause: Some(cause) };
    let to = asked.to.as_ref();
    let outcome = take_over(hands, &asked.cell, seen, &why, to).await;
    let from = seen.routed.activation.holder().cloned();
    let result = match &outcome {
        Outcome::Won { winner, epoch } => match to {
            Some(to) if to != winner => {
                Err(Unelected::Further { to: to.clone(), winner: winner.clone(), epoch: *epoch })
            }
            Some(_) | None => {
                Ok(Elected { from, winner: winner.clone(), epoch: *epoch, forced: None })
            }
        },
        Outcome::Unwilling { why } => Err(Unelected::TooFewVotes(why.clone())),
        Outcome::Overtaken => Err(Unelected::Overtaken),
    };
    (result, outcome)
}

/// A promotion without enough votes.
struct Force<'a> {
    hands: &'a Hands,
    asked: &'a Asked,
    cause: &'a Cause,
    reason: &'a str,
}

/// What a round came to, short of a promotion.
enum Round {
    /// The record was changed by somebody else.
    Changed,
    Blocked(Blocked),
}

impl Force<'_> {
    async fn run(&self, first: &SeenCell) -> Result<Elected, Unelected> {
        let until = Instant::now() + FORCE;
        let from = lost(&first.routed.activation.elect("")).cloned();
        let mut seen = first.clone();
        loop {
            let next = Instant::now() + ROUND;
            let unelected = match self.round(&seen, from.as_ref()).await {
                Ok(elected) => return Ok(elected),
                Err(Round::Changed) => Unelected::Overtaken,
                Err(Round::Blocked(blocked)) => Unelected::Blocked(blocked),
            };
            if next >= until {
                return Err(unelected);
            }
            sleep_until(next).await;
            seen = self.seen().ok_or(Unelected::Overtaken)?;
            // Somebody has been promoted after all, with enough votes.
            let activation = &seen.routed.activation;
            if activation.holder().is_some() && activation.epoch > first.routed.activation.epoch {
                return Err(Unelected::Overtaken);
            }
        }
    }

    /// Everything from ending the old right to the new record.
    async fn round(&self, seen: &SeenCell, from: Option<&RegionId>) -> Result<Elected, Round> {
        let (hands, cell) = (self.hands, &self.asked.cell);
        let reason = format!("forced, accepting data loss: {}", self.reason);
        let mut next = seen.routed.activation.elect(&reason).because(self.cause.clone());
        next.epoch = hands.state.borrow().latest_epoch(cell).next();
        // In the place of what is stored, if etcd has gone back to an older record.
        let revision = seen.older.as_ref().map_or(seen.revision, |older| older.revision);
        let unchanged = Unchanged { cell: revision, lease: Some(seen.lease_revision()) };
        let electing = hands.replace(cell, &seen.routed, next, unchanged).await;
        let electing = electing.ok_or(Round::Changed)?;
        let over_at = right_over_at(seen, &hands.policy, Instant::now());
        let activation = &electing.value.activation;
        hands.failpoint.reached("electing").await;
        warn!(%cell, epoch = %activation.epoch, reason, "electing among who is left");
        let sites = seen.routed.gateways.keys();
        let asked = sites.map(|region| (region.clone(), hands.is_reachable(cell, region)));
        let ballot = freeze_all(&hands.agents, cell, activation, asked).await;
        let words = self.words(&ballot, seen);
        let drained = hands.state.borrow().intent().drained().clone();
        let order = Order { regions: &hands.policy.regions, drained: &drained };
        let Verdict { winner, gives_up } =
            verdict(activation, &words, self.asked.to.as_ref(), order).map_err(Round::Blocked)?;
        if !lost(activation).is_some_and(|lost| ballot.votes.contains_key(lost)) {
            sleep_until(over_at).await;
        }
        let reason = format!("{reason}; {winner} is promoted of {}", votes(&ballot));
        let at = ballot.votes[&winner].place();
        let next = promoted(activation, (&winner, at), seen.routed.gateways.keys(), &reason);
        let epoch = next.epoch;
        let unchanged = Unchanged { cell: electing.revision, lease: None };
        let promoting = hands.replace(cell, &electing.value, next, unchanged).await;
        promoting.ok_or(Round::Changed)?;
        hands.failpoint.reached("promoted").await;
        warn!(%cell, %epoch, region = %winner, reason, "promoting, data loss accepted");
        let forced = Forced { votes: ballot.votes, gives_up };
        Ok(Elected { from: from.cloned(), winner, epoch, forced: Some(forced) })
    }

    /// What each site said, and whether it could have said anything.
    fn words(&self, ballot: &Ballot, seen: &SeenCell) -> BTreeMap<RegionId, Word> {
        let state = self.hands.state.borrow();
        let word = |region: &RegionId| {
            let site = state.site(&self.asked.cell, region);
            let rebuilding = site.report().is_some_and(|report| report.postgres == "rebuilding");
            match (ballot.votes.get(region), ballot.refusals.get(region)) {
                (Some(vote), _) => Word::Frozen(*vote),
                (None, _) if !site.is_reachable() => Word::Silent,
                (None, _) if rebuilding => Word::Rebuilding,
                (None, Some(why)) => Word::Refused(why.clone()),
                (None, None) => Word::Refused("it was not asked".to_owned()),
            }
        };
        seen.routed.gateways.keys().map(|region| (region.clone(), word(region))).collect()
    }

    fn seen(&self) -> Option<SeenCell> {
        self.hands.state.borrow().cells().get(&self.asked.cell).cloned()
    }
}

/// Returns the winner's activation. Without any voter of before, all other sites become voters that are
/// not kept out: none would mean that nothing strong is ever acknowledged again.
fn promoted<'a>(
    activation: &Activation,
    (winner, at): (&RegionId, Option<Place>),
    sites: impl Iterator<Item = &'a RegionId>,
    reason: &str,
) -> Activation {
    let mut next = activation.promote(winner, at, reason);
    if next.voters.is_empty() {
        let others = sites.filter(|region| *region != winner && !next.retired.contains(*region));
        next.voters = others.cloned().collect();
    }
    next
}
