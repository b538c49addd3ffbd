//! Until when the site may acknowledge: the lease, or promises of enough voters, whichever lasts
//! longer. Either alone keeps every successor away: without the lease lapsing nobody may take over,
//! without the votes of the voters nobody can be promoted (I3).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runtime::clock::BootTime;
use topology::spec::{CLOCK_ERROR_PERCENT, GUARD, LeasePolicy};
use topology::{Epoch, RegionId};

/// What extends the site's right under one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    epoch: Epoch,
    elected_until: BootTime,
    lease_until: BootTime,
    promised_until: BTreeMap<RegionId, BootTime>,
}

impl Right {
    /// Returns a right that has not begun.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            elected_until: BootTime::default(),
            lease_until: BootTime::default(),
            promised_until: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The vote by which this site was elected left it at `voted`. The record that says so was written after
    /// it, and nobody takes over before they have seen that record unchanged for as long as they are patient.
    pub fn elected(&mut self, voted: BootTime, policy: &LeasePolicy) {
        self.elected_until = self.elected_until.max(voted + policy.right);
    }

    /// A renewal sent at `sent` has succeeded.
    pub fn renewed(&mut self, sent: BootTime, policy: &LeasePolicy) {
        self.lease_until = self.lease_until.max(sent + policy.right);
    }

    /// A voter has answered a request sent at `sent` with a promise.
    pub fn promised(&mut self, voter: &RegionId, sent: BootTime, policy: &LeasePolicy) {
        let until = self.promised_until.entry(voter.clone()).or_default();
        *until = (*until).max(sent + promise_for_holder(policy));
    }

    /// Returns until when the site may acknowledge. Promises extend what a renewal has begun and begin
    /// nothing: a renewal compares the cell's record, and so shows that it is in force and that these are
    /// its voters. Who comes from a restart may have read one that is over.
    #[must_use]
    pub fn until(&self, voters: &BTreeSet<RegionId>, acks: usize) -> BootTime {
        if self.lease_until == BootTime::default() {
            return self.elected_until;
        }
        self.lease_until.max(self.elected_until).max(self.promised_until(voters, acks))
    }

    /// Returns until when elections are blocked, given who votes and how many voters' flushes a strong
    /// commit needs: by so many promises.
    #[must_use]
    pub fn promised_until(&self, voters: &BTreeSet<RegionId>, acks: usize) -> BootTime {
        let of_voters = self.promised_until.iter().filter(|(region, _)| voters.contains(*region));
        let mut promises: Vec<BootTime> = of_voters.map(|(_, until)| *until).collect();
        promises.sort_unstable_by(|a, b| b.cmp(a));
        let enough = acks.checked_sub(1).and_then(|index| promises.get(index));
        enough.copied().unwrap_or_default()
    }
}

/// Returns whether enough is left of the right that a vote gives for the first renewal to come in time: half
/// of it. Otherwise that renewal is waited for, which may take any time.
#[must_use]
pub fn lasts_from_vote(voted: BootTime, now: BootTime, policy: &LeasePolicy) -> bool {
    now < voted + policy.right / 2
}

/// How long a voter keeps a promise, on its own clock: as long as an observer's patience.
#[must_use]
pub fn promise_for_voter(policy: &LeasePolicy) -> Duration {
    policy.patience
}

/// How long the holder may count on a promise, from the sending of its request.
fn promise_for_holder(policy: &LeasePolicy) -> Duration {
    (promise_for_voter(policy) * (100 - CLOCK_ERROR_PERCENT) / 100).saturating_sub(GUARD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: LeasePolicy = LeasePolicy {
        renew: Duration::from_millis(500),
        right: Duration::from_millis(1600),
        patience: Duration::from_secs(2),
    };

    #[test]
    fn the_right_counts_from_the_sending() {
        let mut right = Right::new(Epoch(1));
        right.renewed(ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(2600));
    }

    #[test]
    fn who_was_elected_has_the_right_from_their_vote_on() {
        let mut right = Right::new(Epoch(1));
        right.elected(ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(2600));
        right.promised(&"north".parse().unwrap(), ms(1500), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(2600), "promises begin nothing");
        right.renewed(ms(1400), &POLICY);
        right.elected(ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(3430), "and extend what a renewal has begun");
    }

    #[test]
    fn a_right_that_is_half_over_waits_for_a_renewal() {
        assert!(lasts_from_vote(ms(1000), ms(1799), &POLICY));
        assert!(!lasts_from_vote(ms(1000), ms(1800), &POLICY));
    }

    #[test]
    fn an_answer_that_overtakes_a_later_one_shortens_nothing() {
        let mut right = Right::new(Epoch(1));
        right.renewed(ms(2000), &POLICY);
        right.renewed(ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(3600));
    }

    #[test]
    fn with_etcd_gone_one_promise_is_enough_for_one_ack_but_not_for_two() {
        let mut right = Right::new(Epoch(1));
        right.renewed(ms(100), &POLICY);
        right.promised(&"north".parse().unwrap(), ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(2930));
        assert_eq!(right.until(&voters(), 2), ms(1700));
    }

    #[test]
    fn promises_begin_no_right() {
        let mut right = Right::new(Epoch(1));
        right.promised(&"north".parse().unwrap(), ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), BootTime::default());
        right.renewed(ms(1100), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(2930));
    }

    #[test]
    fn a_holder_stops_counting_on_a_promise_before_the_voter_does() {
        assert!(promise_for_holder(&POLICY) + GUARD < promise_for_voter(&POLICY));
    }

    #[test]
    fn who_does_not_vote_promises_in_vain() {
        let mut right = Right::new(Epoch(1));
        right.renewed(ms(100), &POLICY);
        right.promised(&"west".parse().unwrap(), ms(1000), &POLICY);
        assert_eq!(right.until(&voters(), 1), ms(1700));
    }

    /// Rights and promises are counted on it: whoever sets the time of day moves none of them.
    #[test]
    fn the_boot_time_clock_is_not_the_one_that_can_be_set() {
        let reads = |clock| {
            let now = rustix::time::clock_gettime(clock);
            Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
        };
        let before = reads(rustix::time::ClockId::Boottime);
        let now = BootTime::now().since(BootTime::default());
        let after = reads(rustix::time::ClockId::Boottime);
        assert!(before <= now && now <= after, "{before:?} {now:?} {after:?}");
    }

    fn voters() -> BTreeSet<RegionId> {
        ["north", "south"].map(|region| region.parse().unwrap()).into()
    }

    fn ms(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }
}
