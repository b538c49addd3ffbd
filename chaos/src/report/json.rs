//! A run → [`Document`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Report;
use super::availability::availability;
use super::document::{
    CheckTold, ClaimTold, CleanUpTold, Document, EventTold, FaultTold, HeldTold, Latency,
    QuantilesTold, Requests, SCHEMA, StepTold, VersionsTold,
};
use super::stages::stages;
use super::tenures::tenures;
use crate::check::Finding;
use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Quantiles, Unit, Value as Bound};
use crate::refusals::Refusals;
use crate::verdict::{Claim, Standing};
use crate::versions::{Versions, commit};

/// Returns everything the report says, for programs.
pub(crate) fn document(report: &Report<'_>) -> Document {
    let (course, metrics, verdict) = (report.course, report.metrics, report.verdict);
    let by_name =
        |claim: &Claim| (claim.measure.name().replace('-', "_"), measured(claim.measured));
    let latency = metrics.cells.iter().map(|(cell, (before, after))| {
        (cell.to_string(), Latency { before: quantiles(before), after: quantiles(after) })
    });
    Document {
        schema: SCHEMA,
        id: report.id.to_owned(),
        drill: report.drill.name.clone(),
        title: report.drill.title.clone(),
        description: report.drill.description.clone(),
        tags: report.drill.tags.clone(),
        seed: course.seed_of(report.drill),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        versions: versions(&course.versions),
        begun_unix_ms: report.clock.begun_unix_ms,
        again: report.again.clone(),
        verdict: name(verdict.exit).to_owned(),
        exit_code: verdict.exit.code(),
        class: class(verdict.exit).map(str::to_owned),
        reasons: verdict.reasons.clone(),
        warnings: verdict.warnings.clone(),
        reasons_zh: verdict.reasons_zh.clone(),
        warnings_zh: verdict.warnings_zh.clone(),
        fault: fault(report),
        metrics: verdict.claims.iter().map(by_name).collect(),
        claims: verdict.claims.iter().map(claim).collect(),
        checks: verdict
            .checks
            .iter()
            .map(|(check, finding)| {
                let (result, witnesses) = match finding {
                    Finding::Pass => ("pass", &[][..]),
                    Finding::Fail(witnesses) => ("fail", &witnesses[..]),
                    Finding::Unknown(missing) => ("unknown", &missing[..]),
                };
                CheckTold {
                    name: check.name().to_owned(),
                    claim: check.claim().to_owned(),
                    result: result.to_owned(),
                    witnesses: witnesses.to_vec(),
                }
            })
            .collect(),
        requests: Requests {
            all: metrics.operations,
            retries: metrics.retries,
            before: metrics.before,
            under_fault: metrics.in_window,
            ok_before: metrics.ok_before,
            failed_by_class: metrics.failed_by_class.clone(),
            others_failed_by_class: metrics.others_failed_by_class.clone(),
            held: HeldTold {
                count: metrics.held.count,
                p50: seconds(metrics.held.median),
                max: seconds(metrics.held.longest),
            },
        },
        latency: latency.collect::<BTreeMap<_, _>>(),
        generator_lag_p99: seconds(metrics.lag_p99),
        events: course
            .events
            .iter()
            .map(|event| EventTold {
                at: seconds(event.at),
                cell: event.cell.to_string(),
                name: event.name.clone(),
                region: event.region.as_ref().map(ToString::to_string),
                epoch: event.epoch.0,
                reason: event.reason.clone(),
                evidence: event.evidence.clone(),
            })
            .collect(),
        stages: stages(course),
        tenures: tenures(course),
        availability: availability(course),
        clean_up: CleanUpTold {
            undone: course.clean_up.as_ref().map_or(0, |clean_up| clean_up.undone),
            looked_for: course.clean_up.as_ref().map_or_else(Vec::new, |c| c.looked_for.clone()),
            left: course.residue.clone(),
        },
    }
}

fn versions(read: &Versions) -> VersionsTold {
    let Versions { postgresql, etcd, kernel } = read.clone();
    VersionsTold { commit: commit().map(str::to_owned), postgresql, etcd, kernel }
}

fn fault(report: &Report<'_>) -> Option<FaultTold> {
    let course = report.course;
    let injection = course.fault()?;
    let cells = injection
        .cells
        .iter()
        .map(|(cell, region)| (cell.to_string(), region.as_ref().map(ToString::to_string)));
    let steps = injection.steps.iter();
    let end = course.operations.iter().map(|op| op.ended).max().unwrap_or_default();
    let refusals = Refusals::of(course);
    let refusing = refusals.times().map(|(from, until)| [from, until.min(end)]);
    Some(FaultTold {
        kind: injection.kind.clone(),
        target: injection.target.clone(),
        cells: cells.collect(),
        at: seconds(injection.begun),
        complete_at: seconds(injection.ended),
        healed_at: course.healed.map(seconds),
        refusing: refusing.map(|times| times.map(seconds)).collect(),
        steps: steps.map(|(at, step)| StepTold { at: seconds(*at), step: step.clone() }).collect(),
        proof: injection.proof.clone(),
        unproven: course.unproven.clone(),
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

/// The other way round: what a run came to.
pub(crate) fn exit_told(document: &Document) -> Option<Exit> {
    let told = (document.verdict.as_str(), document.class.as_deref());
    Exit::ALL.into_iter().find(|exit| (name(*exit), class(*exit)) == told)
}

fn claim(claim: &Claim) -> ClaimTold {
    let standing = match claim.standing {
        Standing::Met => "met",
        Standing::GoalMissed => "goal-missed",
        Standing::Exceeded => "exceeded",
        Standing::Unproven => "unproven",
        Standing::Shown => "shown",
    };
    let unit = match claim.measure.unit() {
        Unit::Time => "time",
        Unit::Count => "count",
    };
    ClaimTold {
        name: claim.measure.name().to_owned(),
        unit: unit.to_owned(),
        measured: measured(claim.measured),
        limit: claim.limit.map_or(Value::Null, bound),
        goal: claim.goal.map_or(Value::Null, bound),
        standing: standing.to_owned(),
    }
}

fn quantiles(of: &Quantiles) -> QuantilesTold {
    let seconds =
        |micros: u128| seconds(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)));
    let (p50, p99, max) = (seconds(of.p50_us), seconds(of.p99_us), seconds(of.max_us));
    QuantilesTold { count: of.count, p50, p99, max }
}

/// What did not happen is told by a word, what nobody saw by nothing.
fn measured(measured: Measured) -> Value {
    match measured {
        Measured::Got(value) => bound(value),
        Measured::Never => json!("never"),
        Measured::Unseen => Value::Null,
    }
}

/// The other way round: which measure it was, and what was measured; nothing of one that is not known here.
pub(crate) fn measured_told(claim: &ClaimTold) -> Option<(Measure, Measured)> {
    let measure = Measure::ALL.into_iter().find(|measure| measure.name() == claim.name)?;
    if claim.measured == "never" {
        return Some((measure, Measured::Never));
    }
    let time = |seconds| Duration::try_from_secs_f64(seconds).ok().map(Bound::Time);
    let value = match measure.unit() {
        Unit::Time => claim.measured.as_f64().and_then(time),
        Unit::Count => claim.measured.as_u64().map(Bound::Count),
    };
    Some((measure, value.map_or(Measured::Unseen, Measured::Got)))
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
