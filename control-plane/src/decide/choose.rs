//! Who wins an election: the furthest of enough frozen votes.
//!
//! Every set of voters that could have acknowledged a strong commit meets every set of
//! [`votes_needed`](Activation::votes_needed) (I5), so the furthest of those has everything that was
//! acknowledged. The predecessor has it by itself, if it has stopped and can say how far it came.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use topology::{Activation, Phase, Place, RegionId};

/// A frozen vote: on disk, nothing received any more, everything received replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    pub system: u64,
    pub timeline: u32,
    /// Where that timeline began, if the voter says so.
    pub begun: Option<u64>,
    pub lsn: u64,
}

impl Vote {
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let &Self { timeline, lsn, .. } = self;
        self.begun.map(|begun| Place { timeline, begun, lsn })
    }
}

/// How well a site would do. Lower is better; compared field by field, top to bottom, so the order
/// of the fields is the policy. The region's rank comes last and settles ties the same way
/// everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line of the policy")]
struct Score {
    timeline: Reverse<u32>,
    lsn: Reverse<u64>,
    /// A site that is kept out wins only if it alone has everything that was acknowledged (I5) …
    is_retired: bool,
    /// … and so does one in a drained region.
    is_drained: bool,
    /// Whoever asked may have a wish, among equals.
    is_not_preferred: bool,
    /// Going back to the site that was just given up is the last choice among equals.
    is_predecessor: bool,
    rank: usize,
}

/// What decides among equals, whatever they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// In the order of the spec.
    pub regions: &'a [RegionId],
    /// What people want to keep empty.
    pub drained: &'a BTreeSet<RegionId>,
}

/// Returns the site to promote, or `None` while the votes do not suffice. `preferred` wins only among
/// equals.
#[must_use]
pub fn choose<'a>(
    activation: &Activation,
    votes: &'a BTreeMap<RegionId, Vote>,
    order: Order<'_>,
    preferred: Option<&RegionId>,
) -> Option<&'a RegionId> {
    let predecessor = predecessor(activation);
    let counts = |region: &RegionId| {
        activation.voters.contains(region) || predecessor.is_some_and(|lost| lost == region)
    };
    let valid: Vec<(&RegionId, &Vote)> = votes
        .iter()
        .filter(|(region, vote)| counts(region) && activation.system == Some(vote.system))
        .collect();
    let from_voters =
        valid.iter().filter(|(region, _)| activation.voters.contains(*region)).count();
    let from_predecessor = valid.iter().any(|(region, _)| Some(*region) == predecessor);
    if from_voters < activation.votes_needed() && !from_predecessor {
        return None;
    }
    furthest(activation, valid.into_iter(), order, preferred)
}

/// Returns who is furthest of these votes, whether they suffice or not.
#[must_use]
pub(super) fn furthest<'a>(
    activation: &Activation,
    votes: impl Iterator<Item = (&'a RegionId, &'a Vote)>,
    order: Order<'_>,
    preferred: Option<&RegionId>,
) -> Option<&'a RegionId> {
    let regions = order.regions;
    let rank = |region: &RegionId| {
        regions.iter().position(|listed| listed == region).unwrap_or(regions.len())
    };
    let score = |region: &RegionId, vote: &Vote| Score {
        timeline: Reverse(vote.timeline),
        lsn: Reverse(vote.lsn),
        is_retired: activation.retired.contains(region),
        is_drained: order.drained.contains(region),
        is_not_preferred: preferred.is_some_and(|preferred| preferred != region),
        is_predecessor: predecessor(activation) == Some(region),
        rank: rank(region),
    };
    votes.min_by_key(|(region, vote)| score(region, vote)).map(|(region, _)| region)
}

pub(super) fn predecessor(activation: &Activation) -> Option<&RegionId> {
    match &activation.phase {
        Phase::Electing { predecessor } => predecessor.as_ref(),
        Phase::Steady { .. } | Phase::Switching { .. } | Phase::Promoting { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use topology::Epoch;

    use super::*;

    #[test]
    fn the_furthest_of_both_voters_wins() {
        check("north 1/500, south 1/700", Some("south"));
        check("north 1/900, south 1/700", Some("north"));
    }

    #[test]
    fn a_newer_timeline_beats_a_longer_old_one() {
        check("north 1/900, south 2/700", Some("south"));
    }

    #[test]
    fn one_vote_too_few_elects_nobody() {
        check("south 1/700", None);
        check("", None);
    }

    #[test]
    fn the_predecessors_own_word_is_enough() {
        check("east 1/700", Some("east"));
        check("east 1/700, south 1/700", Some("south"));
        check("east 1/701, south 1/700", Some("east"));
    }

    #[test]
    fn a_tie_goes_to_the_region_listed_first() {
        check("south 1/700, north 1/700", Some("north"));
    }

    #[test]
    fn a_vote_of_another_database_does_not_count() {
        check("north 1/500, south 1/700 other", None);
        check("east 1/900 other, north 1/500, south 1/700", Some("south"));
    }

    #[test]
    fn a_site_that_does_not_vote_does_not_count() {
        check("west 1/900, south 1/700", None);
    }

    #[test]
    fn a_wish_is_granted_among_equals_and_never_to_one_that_is_behind() {
        check_preferring(Some("south"), "north 1/700, south 1/700", Some("south"));
        check_preferring(Some("south"), "north 1/701, south 1/700", Some("north"));
        check_preferring(Some("east"), "east 1/700, south 1/700", Some("east"));
    }

    #[test]
    fn a_drained_region_wins_only_if_it_alone_has_everything() {
        check_but("north", None, "north 1/700, south 1/700", Some("south"));
        check_but("north", None, "north 1/701, south 1/700", Some("north"));
        check_but("north", Some("north"), "north 1/700, south 1/700", Some("south"));
        check_but("south", None, "east 1/700, south 1/700", Some("east"));
    }

    #[test]
    fn a_site_that_is_to_leave_wins_only_if_it_alone_has_everything() {
        let retired = |region: &str| [region.parse().unwrap()].into();
        check_of(retired("north"), "", None, "north 1/700, south 1/700", Some("south"));
        check_of(
            retired("north"),
            "south",
            Some("north"),
            "north 1/700, south 1/700",
            Some("south"),
        );
        check_of(retired("north"), "", None, "north 1/701, south 1/700", Some("north"));
    }

    #[track_caller]
    fn check(votes: &str, expected: Option<&str>) {
        check_preferring(None, votes, expected);
    }

    #[track_caller]
    fn check_preferring(preferred: Option<&str>, votes: &str, expected: Option<&str>) {
        check_but("", preferred, votes, expected);
    }

    #[track_caller]
    fn check_but(drained: &str, preferred: Option<&str>, votes: &str, expected: Option<&str>) {
        check_of(BTreeSet::new(), drained, preferred, votes, expected);
    }

    #[track_caller]
    fn check_of(
        retired: BTreeSet<RegionId>,
        drained: &str,
        preferred: Option<&str>,
        votes: &str,
        expected: Option<&str>,
    ) {
        let drained = drained.split_whitespace().map(|region| region.parse().unwrap()).collect();
        let preferred: Option<RegionId> = preferred.map(|region| region.parse().unwrap());
        let regions: Vec<RegionId> =
            ["east", "north", "south"].map(|region| region.parse().unwrap()).into();
        let activation = Activation {
            epoch: Epoch(8),
            phase: Phase::Electing { predecessor: Some(regions[0].clone()) },
            voters: regions[1..].iter().cloned().collect(),
            retired,
            acks: 1,
            system: Some(1),
            elected_at: None,
            cause: None,
            reason: String::new(),
        };
        let votes = votes
            .split(", ")
            .filter(|vote| !vote.is_empty())
            .map(|vote| {
                let words: Vec<&str> = vote.split([' ', '/']).collect();
                let system = if words.contains(&"other") { 2 } else { 1 };
                let vote = Vote {
                    system,
                    timeline: words[1].parse().unwrap(),
                    begun: None,
                    lsn: words[2].parse().unwrap(),
                };
                (words[0].parse().unwrap(), vote)
            })
            .collect();
        let order = Order { regions: &regions, drained: &drained };
        let chosen = choose(&activation, &votes, order, preferred.as_ref());
        assert_eq!(chosen.map(RegionId::as_str), expected);
    }
}
