//! Operations and what they would do, as the document shows them.

use std::collections::BTreeMap;

use topology::{CellId, Epoch, RegionId, SLOTS, SiteId};

use super::view::{OperationView, view};
use crate::api::view::example::AT_UNIX_MS;
use crate::decide::operation::advance::cancelled;
use crate::decide::operation::{Asked, Goal, Move, Operation, Status, StepState, What};
use crate::levers::history::Expected;
use crate::levers::preview::{BlastRadius, Headroom, PlannedMove, Preview};

pub(in crate::api) const ID: &str = "op-000012";

/// One that goes on: its first wave is done.
pub(in crate::api) fn going_on() -> OperationView {
    let mut operation = begun(evacuate());
    operation.sequence = 4;
    let (done, left) = operation.waves.split_at_mut(1);
    for step in done.iter_mut().flatten() {
        step.state = StepState::Done { took_ms: 180, hold_ms: None, epoch: None };
    }
    for step in left.iter_mut().flatten() {
        step.state = StepState::Going { attempt: 1, since_unix_ms: AT_UNIX_MS + 200 };
    }
    view(ID, &operation, Some(&expected()))
}

/// One that is cancelled while its first step goes on.
pub(in crate::api) fn being_cancelled() -> OperationView {
    view(ID, &cancelled(&begun(evacuate()), "otto", AT_UNIX_MS), None)
}

pub(in crate::api) fn just_begun(goal: Goal) -> OperationView {
    view(ID, &begun(goal), None)
}

pub(in crate::api) fn failed() -> Operation {
    let goal = Goal::Failover { cell: cell(), to: None, accept_data_loss: false };
    let status = Status::Failed("the voters would elect nobody: 1 of 2 votes".to_owned());
    Operation { status, ended_unix_ms: Some(AT_UNIX_MS + 60_000), ..begun(goal) }
}

pub(in crate::api) fn begun(goal: Goal) -> Operation {
    let asked = Asked {
        who: "mei".to_owned(),
        vantage: region("north"),
        at_unix_ms: AT_UNIX_MS,
        reason: Some("work on the power supply".to_owned()),
        override_rules: Vec::new(),
        idempotency_key: None,
    };
    let waves = waves(&goal);
    Operation::new(goal, asked, 0, waves)
}

/// What a dry run of it answers.
pub(in crate::api) fn ahead(goal: &Goal) -> Preview {
    let waves = waves(goal);
    let moves = waves.iter().enumerate().flat_map(|(wave, steps)| {
        steps.iter().filter_map(move |what| match what {
            What::Move(Move { cell, from, to, epoch }) => Some(PlannedMove {
                cell: cell.to_string(),
                from: from.to_string(),
                to: to.to_string(),
                epoch: epoch.0,
                wave,
            }),
            What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_) => {
                None
            }
        })
    });
    let moves: Vec<PlannedMove> = moves.collect();
    let is_concerned = !moves.is_empty() || goal.cell().is_some();
    let cells = if is_concerned { vec![cell().to_string()] } else { Vec::new() };
    let more = u32::try_from(moves.len()).unwrap_or(u32::MAX);
    let headroom = Headroom {
        capacity: Some(4),
        weight: 1,
        weight_after: 1 + more,
        free_percent: Some(75),
        free_percent_after: Some(75 - 25 * i64::from(more)),
    };
    Preview {
        dry_run: true,
        allowed: true,
        broken: Vec::new(),
        waves: waves.iter().map(|wave| wave.iter().map(ToString::to_string).collect()).collect(),
        moves,
        blast_radius: BlastRadius {
            slots: if is_concerned { 5462 } else { 0 },
            cells,
            of_slots: SLOTS,
        },
        expected: Some(expected()),
        loss: None,
        freeze: None,
        headroom: BTreeMap::from([("south".to_owned(), headroom)]),
        etag: "\"8f3a5c0d1e2b4a69\"".to_owned(),
    }
}

fn waves(goal: &Goal) -> Vec<Vec<What>> {
    let moved = |from: &str, to: &str| {
        let (from, to) = (region(from), region(to));
        What::Move(Move { cell: cell(), from, to, epoch: Epoch(8) })
    };
    match goal {
        Goal::Evacuate(region) => {
            vec![vec![What::Drain(region.clone())], vec![moved("east", "south")]]
        }
        Goal::Restore(region) => {
            vec![vec![What::Undrain(region.clone())], vec![moved("south", "east")]]
        }
        Goal::Drain(region) => vec![vec![What::Drain(region.clone())]],
        Goal::Undrain(region) => vec![vec![What::Undrain(region.clone())]],
        Goal::RetireSite(site) => vec![vec![What::Retire(site.clone())]],
        Goal::AddSite(site) => vec![vec![What::Add(site.clone())]],
        Goal::Switchover(_) => vec![vec![moved("east", "south")]],
        Goal::Failover { .. } => Vec::new(),
    }
}

fn expected() -> Expected {
    Expected { moves: 7, took_ms: 412, hold_ms: Some(230), longest_hold_ms: Some(640) }
}

pub(in crate::api) fn evacuate() -> Goal {
    Goal::Evacuate(region("east"))
}

pub(in crate::api) fn site() -> SiteId {
    SiteId { cell: cell(), region: region("south") }
}

pub(in crate::api) fn cell() -> CellId {
    "c1".parse().expect("it is a cell's id")
}

pub(in crate::api) fn region(id: &str) -> RegionId {
    id.parse().expect("it is a region's id")
}
