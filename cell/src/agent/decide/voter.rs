//! What a voter promises and when it votes.
//!
//! A vote is for ever and on disk before it is told; a promise is short and in memory. A voter that
//! restarts has forgotten its promises, and waits as long as one lasts before its first vote.

use std::time::Duration;

use runtime::clock::BootTime;
use topology::{Epoch, RegionId};

/// What a voter remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// The highest epoch voted for; from disk.
    voted: Epoch,
    /// The highest epoch a vote for which is on disk, or may be: it is being written.
    voting: Epoch,
    started: BootTime,
    promise: Option<Promise>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Promise {
    to: RegionId,
    epoch: Epoch,
    until: BootTime,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("voted for epoch {0} already")]
    Voted(Epoch),
    #[error("knows epoch {0} already")]
    Known(Epoch),
    #[error("promised {0} not to vote yet")]
    Promised(RegionId),
    #[error("started too recently to know what was promised")]
    JustStarted,
}

impl Voter {
    #[must_use]
    pub fn new(voted: Epoch, started: BootTime) -> Self {
        Self { voted, voting: voted, started, promise: None }
    }

    #[must_use]
    pub fn voted(&self) -> Epoch {
        self.voted
    }

    /// Promises the active site of `epoch` not to vote for a later one, or says why not. `known` is
    /// the latest epoch this site has seen in which somebody else may serve.
    pub fn promise(
        &mut self,
        to: &RegionId,
        epoch: Epoch,
        known: Epoch,
        now: BootTime,
        lasts: Duration,
    ) -> Result<(), Refusal> {
        if self.voting > epoch {
            return Err(Refusal::Voted(self.voting));
        }
        if known > epoch {
            return Err(Refusal::Known(known));
        }
        self.promise = Some(Promise { to: to.clone(), epoch, until: now + lasts });
        Ok(())
    }

    /// The site itself says that it has stopped serving under `epoch`.
    pub fn release(&mut self, from: &RegionId, epoch: Epoch) {
        self.promise.take_if(|promise| promise.to == *from && promise.epoch <= epoch);
    }

    /// Returns whether this site may vote for `epoch`, or why not.
    pub fn may_vote(&self, epoch: Epoch, now: BootTime, lasts: Duration) -> Result<(), Refusal> {
        if self.voted > epoch {
            return Err(Refusal::Voted(self.voted));
        }
        if now < self.started + lasts {
            return Err(Refusal::JustStarted);
        }
        match &self.promise {
            Some(promise) if promise.epoch < epoch && now < promise.until => {
                Err(Refusal::Promised(promise.to.clone()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Begins a vote for `epoch`, or says why not: from now on nothing is promised to an earlier one.
    /// Asking and beginning are one step, because promises are asked for while the vote is written.
    pub fn begin_vote(
        &mut self,
        epoch: Epoch,
        now: BootTime,
        lasts: Duration,
    ) -> Result<(), Refusal> {
        self.may_vote(epoch, now, lasts)?;
        self.voting = self.voting.max(epoch);
        Ok(())
    }

    /// The vote for `epoch` is on disk.
    pub fn has_voted(&mut self, epoch: Epoch) {
        self.voted = self.voted.max(epoch);
        self.voting = self.voting.max(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(2);

    #[test]
    fn a_promise_holds_the_vote_back_until_it_is_over() {
        let mut voter = voter();
        voter.promise(&east(), Epoch(7), Epoch(7), ms(10_000), LASTS).unwrap();
        assert_eq!(voter.may_vote(Epoch(8), ms(11_999), LASTS), Err(Refusal::Promised(east())));
        assert_eq!(voter.may_vote(Epoch(8), ms(12_000), LASTS), Ok(()));
    }

    #[test]
    fn while_a_vote_is_written_nothing_is_promised_to_an_earlier_epoch() {
        let mut voter = voter();
        voter.begin_vote(Epoch(8), ms(10_000), LASTS).unwrap();
        assert_eq!(voter.voted(), Epoch(0), "it is not on disk yet");
        assert_eq!(
            voter.promise(&east(), Epoch(7), Epoch(7), ms(10_000), LASTS),
            Err(Refusal::Voted(Epoch(8)))
        );
    }

    #[test]
    fn a_vote_that_was_promised_away_is_not_begun() {
        let mut voter = voter();
        voter.promise(&east(), Epoch(7), Epoch(7), ms(10_000), LASTS).unwrap();
        assert_eq!(voter.begin_vote(Epoch(8), ms(11_999), LASTS), Err(Refusal::Promised(east())));
        voter.promise(&east(), Epoch(7), Epoch(7), ms(11_999), LASTS).unwrap();
    }

    #[test]
    fn a_vote_is_never_given_for_an_earlier_epoch() {
        let mut voter = voter();
        voter.has_voted(Epoch(8));
        assert_eq!(voter.may_vote(Epoch(7), ms(10_000), LASTS), Err(Refusal::Voted(Epoch(8))));
        assert_eq!(voter.may_vote(Epoch(8), ms(10_000), LASTS), Ok(()), "asked again");
    }

    #[test]
    fn who_voted_for_a_later_epoch_promises_nothing_to_an_earlier_one() {
        let mut voter = voter();
        voter.has_voted(Epoch(8));
        assert_eq!(
            voter.promise(&east(), Epoch(7), Epoch(7), ms(10_000), LASTS),
            Err(Refusal::Voted(Epoch(8)))
        );
        assert_eq!(
            voter.promise(&east(), Epoch(8), Epoch(9), ms(10_000), LASTS),
            Err(Refusal::Known(Epoch(9)))
        );
    }

    #[test]
    fn after_a_restart_the_first_vote_waits_as_long_as_a_promise_lasts() {
        let voter = Voter::new(Epoch(0), ms(10_000));
        assert_eq!(voter.may_vote(Epoch(8), ms(11_999), LASTS), Err(Refusal::JustStarted));
        assert_eq!(voter.may_vote(Epoch(8), ms(12_000), LASTS), Ok(()));
    }

    #[test]
    fn only_the_site_that_was_promised_something_can_release_it() {
        let mut voter = voter();
        voter.promise(&east(), Epoch(7), Epoch(7), ms(10_000), LASTS).unwrap();
        voter.release(&"south".parse().unwrap(), Epoch(7));
        assert!(voter.may_vote(Epoch(8), ms(10_001), LASTS).is_err());
        voter.release(&east(), Epoch(7));
        assert_eq!(voter.may_vote(Epoch(8), ms(10_001), LASTS), Ok(()));
    }

    fn voter() -> Voter {
        Voter::new(Epoch(0), ms(0))
    }

    fn east() -> RegionId {
        "east".parse().unwrap()
    }

    fn ms(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }
}
