//! Who is promoted when a person accepts that data is lost, and what is given up.
//!
//! Never without being asked to: `N − k + 1` votes are what makes sure that nothing acknowledged is
//! lost (I5), and here there are fewer. Whoever answers is frozen first, all of them, so that the
//! furthest that is left wins; and nobody is passed over who answers and has not frozen, because he
//! may have promised a site to keep it in its right (I1).

use std::collections::BTreeMap;

use topology::{Activation, RegionId};

use super::choose::{Order, Vote, choose, furthest};

/// What came of asking a site to freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Frozen(Vote),
    /// It answers, and does not freeze.
    Refused(String),
    /// It answers, and its data is being replaced: it has nothing that anybody could use.
    Rebuilding,
    Silent,
}

/// Who is promoted, and at what price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub winner: RegionId,
    pub gives_up: GivesUp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivesUp {
    /// Who answers and has more, because another was insisted on.
    pub behind: Option<Behind>,
    /// Voters, and the active site before, that nobody could ask: what only they have.
    pub unheard: Vec<RegionId>,
    /// The votes would have sufficed: whatever was acknowledged by a strong commit is kept.
    pub nothing_acknowledged: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    pub region: RegionId,
    /// Of write-ahead log, as far as positions of one timeline can be compared.
    pub bytes: u64,
    /// It is on a later timeline: it has a history that the winner does not know.
    pub later_timeline: bool,
}

/// Why nobody is promoted now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error(
        "{region} answers and has not frozen its vote: {why}; stop its agent to go on without it"
    )]
    NotFrozen { region: RegionId, why: String },
    #[error("no site of the cell answers with data of its own")]
    NobodyAnswers,
    #[error("{0} does not answer with data of the cell")]
    NotTarget(RegionId),
}

/// Returns who is promoted: `to`, if insisted on, else the furthest of those that have frozen.
pub fn verdict(
    activation: &Activation,
    words: &BTreeMap<RegionId, Word>,
    to: Option<&RegionId>,
    order: Order<'_>,
) -> Result<Verdict, Blocked> {
    let mut votes = BTreeMap::new();
    for (region, word) in words {
        match word {
            Word::Frozen(vote) if activation.system == Some(vote.system) => {
                votes.insert(region.clone(), *vote);
            }
            Word::Refused(why) => {
                return Err(Blocked::NotFrozen { region: region.clone(), why: why.clone() });
            }
            Word::Frozen(_) | Word::Rebuilding | Word::Silent => {}
        }
    }
    let best = furthest(activation, votes.iter(), order, to).ok_or(Blocked::NobodyAnswers)?;
    let winner = to.unwrap_or(best);
    let (had, has) = match votes.get(winner) {
        Some(has) => (&votes[best], has),
        None => return Err(Blocked::NotTarget(winner.clone())),
    };
    let behind = (winner != best).then(|| Behind {
        region: best.clone(),
        bytes: had.lsn.saturating_sub(has.lsn),
        later_timeline: had.timeline > has.timeline,
    });
    let predecessor = super::choose::predecessor(activation);
    let unheard = activation
        .voters
        .iter()
        .chain(predecessor)
        .filter(|region| !votes.contains_key(*region))
        .cloned()
        .collect();
    let sufficient = choose(activation, &votes, order, to);
    let nothing_acknowledged = sufficient == Some(winner);
    let gives_up = GivesUp { behind, unheard, nothing_acknowledged };
    Ok(Verdict { winner: winner.clone(), gives_up })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use topology::{Epoch, Phase};

    use super::*;

    #[test]
    fn the_only_one_left_is_promoted_and_the_others_are_named() {
        check("south 1/700", None, "south, gives up what only north, east have");
    }

    #[test]
    fn the_furthest_of_those_left_wins() {
        check("north 1/500, south 1/700", None, "south");
        check("north 2/500, south 1/700", None, "north");
        check("north 1/700, south 1/700", None, "north");
        check("east 1/701, south 1/700", None, "east");
    }

    #[test]
    fn whoever_insists_is_told_how_much_another_has() {
        check("north 1/500, south 1/700", Some("north"), "north, 200 bytes behind south");
        check("north 1/700, south 1/700", Some("south"), "south");
        check(
            "north 1/900, south 2/700",
            Some("north"),
            "north, 0 bytes behind south on a later timeline",
        );
    }

    #[test]
    fn a_site_that_answers_and_does_not_freeze_is_never_passed_over() {
        for to in [None, Some("south")] {
            check(
                "north promised east not to vote yet, south 1/700",
                to,
                "north answers and has not frozen its vote: promised east not to vote yet; stop its \
                 agent to go on without it",
            );
        }
    }

    #[test]
    fn a_site_whose_data_is_being_replaced_has_nothing() {
        check("north rebuilding, south 1/700", None, "south, gives up what only north, east have");
        check("north rebuilding", None, "no site of the cell answers with data of its own");
    }

    #[test]
    fn a_site_that_does_not_vote_may_be_the_last_resort() {
        check("west 1/300", None, "west, gives up what only north, south, east have");
    }

    #[test]
    fn the_target_must_answer_with_data_of_the_cell() {
        check("north 1/500", Some("south"), "south does not answer with data of the cell");
        check(
            "north 1/500, south 1/700 other",
            Some("south"),
            "south does not answer with data of the cell",
        );
        check("", None, "no site of the cell answers with data of its own");
    }

    #[track_caller]
    fn check(words: &str, to: Option<&str>, expected: &str) {
        let regions: Vec<RegionId> =
            ["east", "north", "south", "west"].map(|region| region.parse().unwrap()).into();
        let activation = Activation {
            epoch: Epoch(8),
            phase: Phase::Electing { predecessor: Some(regions[0].clone()) },
            voters: regions[1..3].iter().cloned().collect(),
            retired: [].into(),
            acks: 1,
            system: Some(1),
            elected_at: None,
            cause: None,
            reason: String::new(),
        };
        let to: Option<RegionId> = to.map(|region| region.parse().unwrap());
        let words = words.split(", ").filter(|word| !word.is_empty()).map(|word| {
            let (region, said) = word.split_once(' ').unwrap();
            (region.parse().unwrap(), read(said))
        });
        let order = Order { regions: &regions, drained: &BTreeSet::new() };
        let found = match verdict(&activation, &words.collect(), to.as_ref(), order) {
            Ok(verdict) => show(&verdict),
            Err(blocked) => blocked.to_string(),
        };
        assert_eq!(found, expected);
    }

    fn read(said: &str) -> Word {
        let position = said.split(' ').next().and_then(|position| position.split_once('/'));
        match (position, said) {
            (Some((timeline, lsn)), _) => Word::Frozen(Vote {
                system: if said.ends_with("other") { 2 } else { 1 },
                timeline: timeline.parse().unwrap(),
                begun: None,
                lsn: lsn.parse().unwrap(),
            }),
            (None, "rebuilding") => Word::Rebuilding,
            (None, _) => Word::Refused(said.to_owned()),
        }
    }

    fn show(verdict: &Verdict) -> String {
        let Verdict { winner, gives_up } = verdict;
        match &gives_up.behind {
            Some(Behind { region, bytes, later_timeline }) => {
                let timeline = if *later_timeline { " on a later timeline" } else { "" };
                format!("{winner}, {bytes} bytes behind {region}{timeline}")
            }
            None if gives_up.nothing_acknowledged => winner.to_string(),
            None => {
                let unheard: Vec<&str> = gives_up.unheard.iter().map(RegionId::as_str).collect();
                format!("{winner}, gives up what only {} have", unheard.join(", "))
            }
        }
    }
}
