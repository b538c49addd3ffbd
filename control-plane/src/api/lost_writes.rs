//! What a cell's sites had written that its history went on without.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use futures_util::future::join_all;
use runtime::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use topology::wire::lost_writes::{LostWrite, LostWritesReport};
use tracing::info;

use super::call::Call;
use super::cells::{cell_id, known};
use super::{Api, error, etag, problem};

/// Reports answered: every change of history of years.
const REPORTS_MAX: usize = 100;
/// Rows answered over all reports: some megabytes. Each report says whether it has more.
const ROWS_MAX: usize = 10_000;

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct LostWrites {
    /// The newest epoch first.
    data: Vec<LostWritesReport>,
    /// Sites that did not say.
    unreachable: Vec<String>,
}

pub(super) fn call() -> Call {
    Call::get("/v1/cells/{id}/lost-writes")
        .of("cells", "Lists what a cell's sites had written that its history went on without.")
        .id("The cell")
        .answers("What every site that answers has kept", &example())
        .aged()
        .problems(&[&problem::UNKNOWN_CELL, &problem::NOTHING_KNOWN])
}

fn example() -> LostWrites {
    let write = LostWrite {
        table: "ticket".to_owned(),
        key: BTreeMap::from([("id".to_owned(), "4711".to_owned())]),
        about: BTreeMap::from([("user_id".to_owned(), "alice".to_owned())]),
    };
    let report = LostWritesReport {
        cell: "c1".to_owned(),
        region: "east".to_owned(),
        epoch: 8,
        timeline: 3,
        fork: 50_331_648,
        end: 50_335_744,
        transactions: 1,
        first_at: Some("2026-11-22 14:05:07.412+00".to_owned()),
        last_at: Some("2026-11-22 14:05:07.412+00".to_owned()),
        writes: vec![write],
        truncated: false,
        incomplete: None,
    };
    LostWrites { data: vec![report], unreachable: vec!["north".to_owned()] }
}

pub(super) async fn of_cell(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (state, cell) = (known(&api)?, cell_id(&id)?);
    let seen = state.cells().get(&cell).ok_or_else(|| error::unknown_cell(&id))?;
    let asked = seen.routed.gateways.keys().map(|region| {
        let (agents, cell) = (&api.agents, &cell);
        async move { (region.to_string(), agents.lost_writes(cell, region).await) }
    });
    let answers = join_all(asked).await.into_iter().map(|(region, answer)| match answer {
        Ok(reports) => Ok(reports),
        Err(err) => {
            info!(%cell, region, error = %err, "lost writes not told");
            Err(region)
        }
    });
    Ok(([etag::age(&state)], Json(merge(answers))).into_response())
}

fn merge(answers: impl Iterator<Item = Result<Vec<LostWritesReport>, String>>) -> LostWrites {
    let (mut data, mut unreachable) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(reports) => data.extend(reports),
            Err(region) => unreachable.push(region),
        }
    }
    data.sort_by_key(|report| (Reverse(report.epoch), report.region.clone()));
    data.truncate(REPORTS_MAX);
    let mut room = ROWS_MAX;
    for report in &mut data {
        report.truncated |= report.writes.len() > room;
        report.writes.truncate(room);
        room -= report.writes.len();
    }
    LostWrites { data, unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_epoch_comes_first_and_who_did_not_answer_is_named() {
        let answers = [
            Ok(vec![report("north", 3, 1)]),
            Err("east".to_owned()),
            Ok(vec![report("south", 9, 1), report("south", 5, 1)]),
        ];
        let merged = merge(answers.into_iter());
        let order: Vec<u64> = merged.data.iter().map(|report| report.epoch).collect();
        assert_eq!((order, merged.unreachable), (vec![9, 5, 3], vec!["east".to_owned()]));
    }

    #[test]
    fn rows_beyond_the_bound_are_left_out_and_said_to_be() {
        let merged = merge(
            [Ok(vec![
                report("south", 9, ROWS_MAX - 1),
                report("south", 8, 3),
                report("south", 7, 0),
            ])]
            .into_iter(),
        );
        let rows: Vec<(usize, bool)> =
            merged.data.iter().map(|report| (report.writes.len(), report.truncated)).collect();
        assert_eq!(rows, [(ROWS_MAX - 1, false), (1, true), (0, false)]);
    }

    fn report(region: &str, epoch: u64, rows: usize) -> LostWritesReport {
        let write = LostWrite { table: "ticket".to_owned(), ..LostWrite::default() };
        LostWritesReport {
            region: region.to_owned(),
            epoch,
            writes: vec![write; rows],
            ..LostWritesReport::default()
        }
    }
}
