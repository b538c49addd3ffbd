//! What a failover would come to, by what the sites have said of themselves: known before anybody is asked
//! to freeze, and told to whoever considers it. What counts are the frozen votes afterwards.

use std::collections::BTreeMap;

use topology::{CellId, RegionId};

use super::super::choose::{Order, Vote, predecessor};
use super::super::data_loss::{Verdict, Word, verdict};
use super::super::state::SeenCell;
use super::super::{Policy, State};

/// Who would win, and what could be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Nothing where no site answers that has data of the cell.
    pub winner: Option<RegionId>,
    /// Voters that answer with data of the cell.
    pub votes: usize,
    pub votes_needed: usize,
    /// Voters, and the active site, that do not: what only they have is given up.
    pub unheard: Vec<RegionId>,
    /// Strong writes that were acknowledged may be among that.
    pub may_lose_acknowledged: bool,
    /// How much more of the write-ahead log the active site last said it had than the winner has now.
    pub behind_bytes: Option<u64>,
}

/// Looks ahead.
#[must_use]
pub fn outlook(
    state: &State,
    policy: &Policy,
    (cell, seen): (&CellId, &SeenCell),
    to: Option<&RegionId>,
) -> Outlook {
    let activation = seen.routed.activation.elect("");
    let words: BTreeMap<RegionId, Word> = seen
        .routed
        .gateways
        .keys()
        .map(|region| (region.clone(), word(state, cell, region, activation.system)))
        .collect();
    let answers = |region: &RegionId| matches!(words.get(region), Some(Word::Frozen(_)));
    let order = Order { regions: &policy.regions, drained: state.intent().drained() };
    let verdict = verdict(&activation, &words, to, order);
    let lost = predecessor(&activation);
    let others = activation.voters.iter().chain(lost);
    let unheard = others.filter(|region| !answers(region)).cloned().collect();
    let votes = activation.voters.iter().filter(|voter| answers(voter)).count();
    let votes_needed = activation.votes_needed();
    match verdict {
        Ok(Verdict { winner, gives_up }) => Outlook {
            behind_bytes: lost.and_then(|lost| behind(state, cell, lost, &winner)),
            winner: Some(winner),
            votes,
            votes_needed,
            unheard,
            may_lose_acknowledged: !gives_up.nothing_acknowledged,
        },
        Err(_nobody) => Outlook {
            winner: None,
            votes,
            votes_needed,
            unheard,
            may_lose_acknowledged: true,
            behind_bytes: None,
        },
    }
}

/// What the site would say if it were asked now.
fn word(state: &State, cell: &CellId, region: &RegionId, system: Option<u64>) -> Word {
    let site = state.site(cell, region);
    match (site.report().filter(|_| site.is_reachable()), system) {
        (Some(report), Some(system)) if report.postgres != "rebuilding" => {
            let (timeline, lsn) = (report.timeline, report.lsn);
            Word::Frozen(Vote { system, timeline, begun: None, lsn })
        }
        (Some(_), _) => Word::Rebuilding,
        (None, _) => Word::Silent,
    }
}

/// Positions of one timeline can be compared.
fn behind(state: &State, cell: &CellId, lost: &RegionId, winner: &RegionId) -> Option<u64> {
    let had = state.site(cell, lost).report()?;
    let has = state.site(cell, winner).report()?;
    (had.timeline == has.timeline).then(|| had.lsn.saturating_sub(has.lsn))
}
