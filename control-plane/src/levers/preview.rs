//! What a lever would do, without doing it: the diff, whom it would concern, how long they would
//! wait, what would be left free, and which rules stand in the way.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topology::{CellId, RegionId, SLOTS, Spec};

use super::history::{Expected, History};
use crate::decide::State;
use crate::decide::asked_failover::outlook::Outlook;
use crate::decide::operation::{Move, What};
use crate::decide::safety::{Broken, Load, loads};

/// What would be done, and to whom. The API answers with it, and the console shows what the API says.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    pub dry_run: bool,
    /// No rule stands in the way.
    pub allowed: bool,
    pub broken: Vec<BrokenRule>,
    /// What would be done, wave by wave.
    pub waves: Vec<Vec<String>>,
    pub moves: Vec<PlannedMove>,
    pub blast_radius: BlastRadius,
    /// By the moves before, or, of a failover, by those before; `null` before the first.
    pub expected: Option<Expected>,
    /// What a failover could lose, by what the sites have said of themselves; only of a failover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// What would become of what waits for a freeze; only of a freeze, and of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeAhead>,
    /// By region; of none where nothing can be moved by it.
    pub headroom: BTreeMap<String, Headroom>,
    /// For `If-Match`: nothing is done if it would no longer be this.
    pub etag: String,
}

/// What could be lost, before the voters have been asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// The region whose site would be promoted, as far as is known; `null` if none answers with data.
    pub winner: Option<String>,
    /// Voters that answer, of as many as are needed.
    pub votes: usize,
    pub votes_needed: usize,
    /// Voters, and the active site, that do not answer: what only they have is given up.
    pub unheard: Vec<String>,
    /// Strong writes that were acknowledged may be among it: that takes `accept_data_loss`.
    pub acknowledged_writes: bool,
    /// How many bytes of write-ahead log the active site last said it had more than the winner.
    pub behind_bytes: Option<u64>,
}

impl From<Outlook> for Loss {
    fn from(outlook: Outlook) -> Self {
        let Outlook { winner, votes, votes_needed, unheard, .. } = outlook;
        Self {
            winner: winner.as_ref().map(ToString::to_string),
            votes,
            votes_needed,
            unheard: unheard.iter().map(ToString::to_string).collect(),
            acknowledged_writes: outlook.may_lose_acknowledged,
            behind_bytes: outlook.behind_bytes,
        }
    }
}

/// A freeze moves nobody, and requests go on as they do: it keeps cells from being moved. So it concerns the
/// users of a cell whose active site is lost, and operations that have yet to move something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = "freeze_example")]
pub struct FreezeAhead {
    /// A freeze holds now.
    pub holds: bool,
    /// Cells whose active site is lost: control planes leave them so while it holds, and take over what they
    /// can once it is lifted.
    pub lost: Vec<String>,
    /// Operations that wait while it holds, and go on once it is lifted.
    pub operations: Vec<String>,
}

fn freeze_example() -> FreezeAhead {
    FreezeAhead {
        holds: false,
        lost: vec!["c1".to_owned()],
        operations: vec!["op-000012".to_owned()],
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BrokenRule {
    pub rule: String,
    pub detail: String,
    pub may_be_overridden: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlannedMove {
    pub cell: String,
    pub from: String,
    pub to: String,
    pub epoch: u64,
    pub wave: usize,
}

/// Whom it concerns. How many users a slot has, and what they do, the control plane does not know
/// (`docs/decisions/0014`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlastRadius {
    pub cells: Vec<String>,
    pub slots: usize,
    pub of_slots: usize,
}

/// The weights of the cells active in a region, and what that leaves of its capacity in per cent;
/// `null` for a region whose capacity `regions.yaml` does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Headroom {
    pub capacity: Option<u32>,
    pub weight: u32,
    pub weight_after: u32,
    pub free_percent: Option<i64>,
    pub free_percent_after: Option<i64>,
}

/// What is looked at ahead.
pub struct Ahead<'a> {
    pub waves: &'a [Vec<What>],
    pub broken: &'a [Broken],
    /// Concerned besides those that are moved.
    pub also: Vec<&'a CellId>,
    /// What a failover could lose.
    pub loss: Option<Outlook>,
    pub etag: String,
}

/// Returns what it comes to.
#[must_use]
pub fn preview(ahead: Ahead<'_>, state: &State, spec: &Spec, history: &History) -> Preview {
    let Ahead { waves, broken, also, loss, etag } = ahead;
    let moves: Vec<(usize, &Move)> = waves
        .iter()
        .enumerate()
        .flat_map(|(wave, steps)| steps.iter().map(move |what| (wave, what)))
        .filter_map(|(wave, what)| match what {
            What::Move(planned) => Some((wave, planned)),
            What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => {
                None
            }
        })
        .collect();
    let cells: BTreeSet<&CellId> =
        moves.iter().map(|(_, planned)| &planned.cell).chain(also).collect();
    let done: Vec<Move> = moves.iter().map(|(_, planned)| Move::clone(planned)).collect();
    Preview {
        dry_run: true,
        allowed: broken.is_empty(),
        broken: broken.iter().map(rule).collect(),
        waves: waves.iter().map(|wave| wave.iter().map(ToString::to_string).collect()).collect(),
        moves: moves
            .iter()
            .map(|(wave, planned)| PlannedMove {
                cell: planned.cell.to_string(),
                from: planned.from.to_string(),
                to: planned.to.to_string(),
                epoch: planned.epoch.0,
                wave: *wave,
            })
            .collect(),
        blast_radius: blast_radius(&cells, state),
        expected: match loss {
            Some(_) => history.expected_election(),
            None => history.expected(),
        },
        loss: loss.map(Loss::from),
        freeze: None,
        headroom: headroom(&loads(&[], state, spec), &loads(&done, state, spec)),
        etag,
    }
}

fn rule(broken: &Broken) -> BrokenRule {
    BrokenRule {
        rule: broken.rule.code().to_owned(),
        detail: broken.detail.clone(),
        may_be_overridden: broken.rule.may_be_overridden(),
    }
}

fn blast_radius(cells: &BTreeSet<&CellId>, state: &State) -> BlastRadius {
    let shares = state.placement().map(topology::Placement::shares).unwrap_or_default();
    let slots = cells.iter().filter_map(|cell| shares.get(*cell)).sum();
    BlastRadius { cells: cells.iter().map(ToString::to_string).collect(), slots, of_slots: SLOTS }
}

fn headroom(
    now: &BTreeMap<RegionId, Load>,
    after: &BTreeMap<RegionId, Load>,
) -> BTreeMap<String, Headroom> {
    let regions = now.iter().zip(after.values());
    let regions = regions.map(|((region, now), after)| {
        let headroom = Headroom {
            capacity: now.capacity,
            weight: now.weight,
            weight_after: after.weight,
            free_percent: now.headroom(),
            free_percent_after: after.headroom(),
        };
        (region.to_string(), headroom)
    });
    regions.collect()
}
