//! An operation as it is stored.

use serde_json::Value;
use topology::wire::Malformed;
use topology::wire::operation::{
    AskedRecord, CancelRecord, GoalRecord, OperationRecord, StatusRecord, StepRecord,
    StepStateRecord, WhatRecord,
};
use topology::{Epoch, RegionId, SiteId};

use crate::decide::operation::stranger::Stranger;
use crate::decide::operation::{
    Asked, Cancel, Election, Goal, Move, Operation, Status, Step, StepState, What,
};

#[must_use]
pub fn record(operation: &Operation) -> OperationRecord {
    let Operation { goal, asked, cancel, .. } = operation;
    OperationRecord {
        goal: match goal {
            Goal::Evacuate(region) => GoalRecord::Evacuate { region: region.to_string() },
            Goal::Restore(region) => GoalRecord::Restore { region: region.to_string() },
            Goal::Drain(region) => GoalRecord::Drain { region: region.to_string() },
            Goal::Undrain(region) => GoalRecord::Undrain { region: region.to_string() },
            Goal::RetireSite(SiteId { cell, region }) => {
                GoalRecord::RetireSite { cell: cell.to_string(), region: region.to_string() }
            }
            Goal::AddSite(SiteId { cell, region }) => {
                GoalRecord::AddSite { cell: cell.to_string(), region: region.to_string() }
            }
            Goal::Switchover(SiteId { cell, region }) => {
                GoalRecord::Switchover { cell: cell.to_string(), region: region.to_string() }
            }
            Goal::Failover { cell, to, accept_data_loss } => GoalRecord::Failover {
                cell: cell.to_string(),
                region: to.as_ref().map(ToString::to_string),
                accept_data_loss: *accept_data_loss,
            },
        },
        asked: AskedRecord {
            who: asked.who.clone(),
            vantage: asked.vantage.to_string(),
            at_unix_ms: asked.at_unix_ms,
            reason: asked.reason.clone(),
            override_rules: asked.override_rules.clone(),
            idempotency_key: asked.idempotency_key.clone(),
        },
        executor: operation.executor.to_string(),
        sequence: operation.sequence,
        status: match &operation.status {
            Status::Running => StatusRecord::Running,
            Status::Undoing => StatusRecord::Undoing,
            Status::Done => StatusRecord::Done,
            Status::Cancelled => StatusRecord::Cancelled,
            Status::Failed(why) => StatusRecord::Failed { why: why.clone() },
        },
        cancel: cancel.as_ref().map(|Cancel { who, at_unix_ms }| CancelRecord {
            who: who.clone(),
            at_unix_ms: *at_unix_ms,
        }),
        pause_ms: operation.pause_ms,
        waves: operation.waves.iter().map(|wave| wave.iter().map(step_record).collect()).collect(),
        waits_for: operation.waits_for.clone(),
        ended_unix_ms: operation.ended_unix_ms,
    }
}

fn step_record(step: &Step) -> StepRecord {
    let what = match &step.what {
        What::Drain(region) => WhatRecord::Drain { region: region.to_string() },
        What::Undrain(region) => WhatRecord::Undrain { region: region.to_string() },
        What::Move(Move { cell, from, to, epoch }) => WhatRecord::Move {
            cell: cell.to_string(),
            from: from.to_string(),
            to: to.to_string(),
            epoch: epoch.0,
        },
        What::Elect(Election { cell, from, to, epoch, accept_data_loss }) => WhatRecord::Elect {
            cell: cell.to_string(),
            from: from.as_ref().map(ToString::to_string),
            to: to.as_ref().map(ToString::to_string),
            epoch: epoch.0,
            accept_data_loss: *accept_data_loss,
        },
        What::Retire(SiteId { cell, region }) => {
            WhatRecord::Retire { cell: cell.to_string(), region: region.to_string() }
        }
        What::Add(SiteId { cell, region }) => {
            WhatRecord::Add { cell: cell.to_string(), region: region.to_string() }
        }
    };
    let state = match step.state.clone() {
        StepState::Waiting => StepStateRecord::Waiting,
        StepState::Going { attempt, since_unix_ms } => {
            StepStateRecord::Going { attempt, since_unix_ms }
        }
        StepState::Done { took_ms, hold_ms, epoch } => {
            StepStateRecord::Done { took_ms, hold_ms, epoch: epoch.map(|epoch| epoch.0) }
        }
        StepState::Skipped(why) => StepStateRecord::Skipped { why },
        StepState::Failed(why) => StepStateRecord::Failed { why },
    };
    StepRecord { what, state }
}

/// Reads a record, as far as it means something.
pub fn operation(record: OperationRecord) -> Result<Operation, Malformed> {
    let AskedRecord { who, vantage, at_unix_ms, reason, override_rules, idempotency_key } =
        record.asked;
    let vantage = vantage.parse()?;
    Ok(Operation {
        goal: match record.goal {
            GoalRecord::Evacuate { region } => Goal::Evacuate(region.parse()?),
            GoalRecord::Restore { region } => Goal::Restore(region.parse()?),
            GoalRecord::Drain { region } => Goal::Drain(region.parse()?),
            GoalRecord::Undrain { region } => Goal::Undrain(region.parse()?),
            GoalRecord::RetireSite { cell, region } => Goal::RetireSite(site(&cell, &region)?),
            GoalRecord::AddSite { cell, region } => Goal::AddSite(site(&cell, &region)?),
            GoalRecord::Switchover { cell, region } => Goal::Switchover(site(&cell, &region)?),
            GoalRecord::Failover { cell, region: to, accept_data_loss } => {
                Goal::Failover { cell: cell.parse()?, to: region(to)?, accept_data_loss }
            }
        },
        asked: Asked { who, vantage, at_unix_ms, reason, override_rules, idempotency_key },
        executor: record.executor.parse()?,
        sequence: record.sequence,
        status: match record.status {
            StatusRecord::Running => Status::Running,
            StatusRecord::Undoing => Status::Undoing,
            StatusRecord::Done => Status::Done,
            StatusRecord::Cancelled => Status::Cancelled,
            StatusRecord::Failed { why } => Status::Failed(why),
        },
        cancel: record.cancel.map(|CancelRecord { who, at_unix_ms }| Cancel { who, at_unix_ms }),
        pause_ms: record.pause_ms,
        waves: record
            .waves
            .into_iter()
            .map(|wave| wave.into_iter().map(step).collect())
            .collect::<Result<_, Malformed>>()?,
        waits_for: record.waits_for,
        ended_unix_ms: record.ended_unix_ms,
    })
}

/// Returns what can be told of a record that means nothing here; nothing if it says that it has ended.
#[must_use]
pub fn stranger(record: &[u8]) -> Option<Stranger> {
    // What cannot be read at all may be about everything.
    let Ok(record) = serde_json::from_slice::<Value>(record) else {
        return Some(Stranger::default());
    };
    if let Some("done" | "cancelled" | "failed") = record["status"]["name"].as_str() {
        return None;
    }
    let mut stranger = Stranger::default();
    if names(&record["goal"], &mut stranger).and(names(&record["waves"], &mut stranger)).is_err() {
        return Some(Stranger::default());
    }
    Some(stranger)
}

/// Notes every cell and region that is named, however deep.
fn names(value: &Value, stranger: &mut Stranger) -> Result<(), Malformed> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let named = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                for id in named.iter().filter_map(Value::as_str) {
                    match name.as_str() {
                        "cell" | "cells" => {
                            stranger.cells.insert(id.parse()?);
                        }
                        "region" | "regions" | "from" | "to" => {
                            stranger.regions.insert(id.parse()?);
                        }
                        _ => {}
                    }
                }
                names(value, stranger)?;
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| names(value, stranger)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn site(cell: &str, region: &str) -> Result<SiteId, Malformed> {
    Ok(SiteId { cell: cell.parse()?, region: region.parse()? })
}

fn region(name: Option<String>) -> Result<Option<RegionId>, Malformed> {
    Ok(name.map(|name| name.parse()).transpose()?)
}

fn step(record: StepRecord) -> Result<Step, Malformed> {
    let what = match record.what {
        WhatRecord::Drain { region } => What::Drain(region.parse()?),
        WhatRecord::Undrain { region } => What::Undrain(region.parse()?),
        WhatRecord::Move { cell, from, to, epoch } => What::Move(Move {
            cell: cell.parse()?,
            from: from.parse()?,
            to: to.parse()?,
            epoch: Epoch(epoch),
        }),
        WhatRecord::Elect { cell, from, to, epoch, accept_data_loss } => What::Elect(Election {
            cell: cell.parse()?,
            from: region(from)?,
            to: region(to)?,
            epoch: Epoch(epoch),
            accept_data_loss,
        }),
        WhatRecord::Retire { cell, region } => What::Retire(site(&cell, &region)?),
        WhatRecord::Add { cell, region } => What::Add(site(&cell, &region)?),
    };
    let state = match record.state {
        StepStateRecord::Waiting => StepState::Waiting,
        StepStateRecord::Going { attempt, since_unix_ms } => {
            StepState::Going { attempt, since_unix_ms }
        }
        StepStateRecord::Done { took_ms, hold_ms, epoch } => {
            StepState::Done { took_ms, hold_ms, epoch: epoch.map(Epoch) }
        }
        StepStateRecord::Skipped { why } => StepState::Skipped(why),
        StepStateRecord::Failed { why } => StepState::Failed(why),
    };
    Ok(Step { what, state })
}
