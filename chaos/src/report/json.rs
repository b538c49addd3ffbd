//! `report.json`: the same as everything else says, for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Report;
use crate::check::Finding;
use crate::exit::Exit;
use crate::metrics::{Measured, Value as Bound};
use crate::verdict::Claim;

/// Grows when a reader of an older report would misread a newer one.
const SCHEMA: u32 = 1;

/// Returns the report; times are in seconds.
pub(crate) fn json(report: &Report<'_>) -> Value {
    let (course, metrics, verdict) = (report.course, report.metrics, report.verdict);
    let injection = course.fault().map(|injection| {
        json!({
            "kind": injection.kind,
            "target": injection.target,
            "cells": injection.cells.iter().map(|(cell, region)| {
                (cell.to_string(), json!(region.as_ref().map(ToString::to_string)))
            }).collect::<Map<_, _>>(),
            "at": seconds(injection.begun),
            "complete_at": seconds(injection.ended),
            "healed_at": course.healed.map(seconds),
            "steps": injection.steps.iter().map(|(at, step)| {
                json!({ "at": seconds(*at), "step": step })
            }).collect::<Vec<_>>(),
            "proof": injection.proof,
            "unproven": course.unproven,
        })
    });
    let measures: Map<_, _> = verdict
        .claims
        .iter()
        .map(|claim| (claim.measure.name().replace('-', "_"), measured(claim.measured)))
        .collect();
    json!({
        "schema": SCHEMA,
        "id": report.id,
        "drill": report.drill.name,
        "title": report.drill.title,
        "seed": report.drill.seed,
        "version": env!("CARGO_PKG_VERSION"),
        "begun_unix_ms": report.clock.begun_unix_ms,
        "again": report.again,
        "verdict": name(verdict.exit),
        "exit_code": verdict.exit.code(),
        "class": class(verdict.exit),
        "reasons": verdict.reasons,
        "warnings": verdict.warnings,
        "fault": injection,
        "metrics": measures,
        "claims": verdict.claims.iter().map(claim).collect::<Vec<_>>(),
        "checks": verdict.checks.iter().map(|(check, finding)| {
            let (result, witnesses) = match finding {
                Finding::Pass => ("pass", &[][..]),
                Finding::Fail(witnesses) => ("fail", &witnesses[..]),
                Finding::Unknown(missing) => ("unknown", &missing[..]),
            };
            json!({ "name": check.name(), "claim": check.claim(), "result": result,
                    "witnesses": witnesses })
        }).collect::<Vec<_>>(),
        "requests": {
            "all": metrics.operations,
            "before": metrics.before,
            "under_fault": metrics.in_window,
            "ok_before": metrics.ok_before,
            "failed_by_class": metrics.failed_by_class,
            "others_failed_by_class": metrics.others_failed_by_class,
            "held": {
                "count": metrics.held.count,
                "p50": seconds(metrics.held.median),
                "max": seconds(metrics.held.longest),
            },
        },
        "latency": metrics.cells.iter().map(|(cell, (before, after))| {
            (cell.to_string(), json!({ "before": before, "after": after }))
        }).collect::<Map<_, _>>(),
        "generator_lag_p99": seconds(metrics.lag_p99),
    })
}

pub(super) fn name(exit: Exit) -> &'static str {
    match exit {
        Exit::Pass => "pass",
        Exit::Availability | Exit::Safety => "fail",
        Exit::Inconclusive => "inconclusive",
        Exit::Unsteady => "no-steady-state",
        Exit::Refused => "refused",
        Exit::Harness => "harness-error",
        Exit::Invalid => "invalid",
        Exit::Aborted => "aborted",
        Exit::Residue => "residue",
    }
}

fn class(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::Availability => Some("availability"),
        Exit::Safety => Some("safety"),
        Exit::Pass
        | Exit::Inconclusive
        | Exit::Unsteady
        | Exit::Refused
        | Exit::Harness
        | Exit::Invalid
        | Exit::Aborted
        | Exit::Residue => None,
    }
}

fn claim(claim: &Claim) -> Value {
    json!({
        "name": claim.measure.name(),
        "measured": measured(claim.measured),
        "limit": claim.limit.map(bound),
        "goal": claim.goal.map(bound),
        "standing": claim.standing,
    })
}

/// What did not happen is told by a word, what nobody saw by nothing.
fn measured(measured: Measured) -> Value {
    match measured {
        Measured::Got(value) => bound(value),
        Measured::Never => json!("never"),
        Measured::Unseen => Value::Null,
    }
}

fn bound(value: Bound) -> Value {
    match value {
        Bound::Time(time) => json!(seconds(time)),
        Bound::Count(count) => json!(count),
    }
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
