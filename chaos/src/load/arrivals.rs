//! Which request is due when: all of it follows from the seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::drill::{Arrivals, Load};
use crate::history::Kind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(super) number: u32,
    /// Since the load began.
    pub(super) at: Duration,
    pub(super) kind: Kind,
    pub(super) user: usize,
}

/// Returns requests without end. Users take turns in an order that is shuffled each round, so that
/// nobody is silent for long: what is not asked is not known to be served.
pub(crate) fn arrivals(load: &Load, users: usize, seed: u64) -> impl Iterator<Item = Arrival> {
    let mut random = StdRng::seed_from_u64(seed);
    let (model, rate) = (load.arrivals, load.rate);
    let mix: Vec<(Kind, u32)> = load.mix.iter().map(|(kind, share)| (*kind, *share)).collect();
    let all = mix.iter().map(|(_, share)| share).sum();
    let mut round: Vec<usize> = Vec::new();
    let mut at = Duration::ZERO;
    (0..u32::MAX).map_while(move |number| {
        if round.is_empty() {
            round = (0..users).collect();
            round.shuffle(&mut random);
        }
        let user = round.pop()?;
        at += match model {
            Arrivals::Constant => Duration::from_secs_f64(1.0 / rate),
            // The distance between events of a Poisson process.
            Arrivals::Poisson => {
                Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / rate)
            }
        };
        let kind = kind_at(&mix, random.random_range(0..all))?;
        Some(Arrival { number, at, kind, user })
    })
}

/// Returns the kind whose share a number below the sum of all shares falls into.
fn kind_at(mix: &[(Kind, u32)], mut at: u32) -> Option<Kind> {
    let found = mix.iter().find(|(_, share)| match at.checked_sub(*share) {
        None => true,
        Some(rest) => {
            at = rest;
            false
        }
    });
    found.map(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arrivals: Arrivals) -> Load {
        Load {
            arrivals,
            rate: 50.0,
            users: 10,
            mix: [(Kind::Ticket, 1), (Kind::Message, 2), (Kind::StrongRead, 1)].into(),
            request_timeout: Duration::from_secs(1),
            max_in_flight: 10,
            retries: None,
            streams: 0,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_and_another_seed_others() {
        let load = load(Arrivals::Poisson);
        let take = |seed| arrivals(&load, 10, seed).take(500).collect::<Vec<_>>();
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }

    #[test]
    fn rate_and_mix_are_as_asked_and_everybody_has_a_turn() {
        let load = load(Arrivals::Poisson);
        let taken: Vec<Arrival> = arrivals(&load, 10, 7).take(5000).collect();
        let seconds = taken[4999].at.as_secs_f64();
        assert!((90.0..110.0).contains(&seconds), "5000 requests in {seconds} s");
        for (kind, expected) in
            [(Kind::Ticket, 1250), (Kind::Message, 2500), (Kind::StrongRead, 1250)]
        {
            let count = taken.iter().filter(|arrival| arrival.kind == kind).count();
            assert!(count.abs_diff(expected) < 150, "{count} of {}", kind.name());
        }
        for round in taken.chunks(10) {
            let mut users: Vec<usize> = round.iter().map(|arrival| arrival.user).collect();
            users.sort_unstable();
            assert_eq!(users, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        let load = load(Arrivals::Constant);
        let taken: Vec<Arrival> = arrivals(&load, 10, 7).take(3).collect();
        let at: Vec<u128> = taken.iter().map(|arrival| arrival.at.as_millis()).collect();
        assert_eq!(at, [20, 40, 60]);
    }
}
