//! What a run came to: claims against measures, checks, and the exit they add up to.
//!
//! Pure. Precedence: what was left behind outweighs lost data, which outweighs a missed limit,
//! which outweighs having been stopped, a failure of the drill itself, and missing evidence.

use serde::Serialize;

use crate::check::{Check, Finding};
use crate::course::Course;
use crate::drill::{Drill, Probe};
use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Metrics, Value};

/// One measure, with what was claimed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) measure: Measure,
    pub(crate) measured: Measured,
    pub(crate) limit: Option<Value>,
    pub(crate) goal: Option<Value>,
    pub(crate) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Standing {
    Met,
    /// Within the limit, beyond the goal.
    GoalMissed,
    Exceeded,
    /// A limit was set, and nothing shows whether it was kept.
    Unproven,
    /// Nothing was claimed.
    Shown,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) exit: Exit,
    /// Each thing that speaks against a pass, gravest first.
    pub(crate) reasons: Vec<String>,
    /// Goals that were missed.
    pub(crate) warnings: Vec<String>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) checks: Vec<(Check, Finding)>,
}

/// Whether a missed goal fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goals {
    Warn,
    Strict,
}

/// Judges a run.
pub(crate) fn verdict(drill: &Drill, course: &Course, metrics: &Metrics, goals: Goals) -> Verdict {
    let claims = claims(drill, course, metrics);
    let injected = !course.injections.is_empty();
    let cut_short = course.aborted.is_some() || course.harness.is_some();
    let mut checks: Vec<(Check, Finding)> = Vec::new();
    if injected {
        checks.extend(drill.checks.iter().map(|check| (*check, check.run(course))));
        // A run that was cut short lacks evidence; that is no second reason.
        checks.retain(|(_, finding)| !(cut_short && matches!(finding, Finding::Unknown(_))));
    }
    let mut against: Vec<(Exit, String)> = Vec::new();
    against
        .extend(course.residue.iter().map(|left| (Exit::Residue, format!("left behind: {left}"))));
    against.extend(course.aborted.iter().map(|why| (Exit::Aborted, why.clone())));
    against.extend(course.harness.iter().map(|why| (Exit::Harness, why.clone())));
    against.extend(course.unsteady.iter().map(|why| (Exit::Unsteady, why.clone())));
    let mut warnings = Vec::new();
    if injected {
        against.extend(unproven(drill, course, metrics));
        against.extend(checks.iter().filter_map(|(check, finding)| of_check(*check, finding)));
        // Where nobody looked to the end, that nothing was seen proves nothing.
        let told = claims.iter().filter(|claim| !cut_short || claim.measured != Measured::Never);
        against.extend(told.filter_map(of_claim));
        for claim in claims.iter().filter(|claim| claim.standing == Standing::GoalMissed) {
            let goal = claim.goal.map_or_else(String::new, |goal| goal.to_string());
            let name = claim.measure.name();
            let missed = format!("{name} is {}, the goal is {goal}", claim.measured);
            if goals == Goals::Strict {
                against.push((Exit::Availability, missed));
            } else {
                warnings.push(missed);
            }
        }
    }
    against.retain(|(exit, _)| !(cut_short && *exit == Exit::Inconclusive));
    against.sort_by_key(|(exit, _)| std::cmp::Reverse(*exit));
    Verdict {
        exit: against.first().map_or(Exit::Pass, |(exit, _)| *exit),
        reasons: against.into_iter().map(|(_, reason)| reason).collect(),
        warnings,
        claims,
        checks,
    }
}

/// Returns why the steady state is not met by what the baseline showed.
pub(crate) fn unsteady(drill: &Drill, metrics: &Metrics) -> Vec<String> {
    let probes = drill.steady_state.iter().filter_map(|probe| match probe {
        Probe::OkRatio { name, at_least } if metrics.ok_before < *at_least => Some(format!(
            "steady state {name}: {:.1} % of {} requests answered before the fault, at least \
             {:.1} % expected",
            metrics.ok_before * 100.0,
            metrics.before,
            at_least * 100.0
        )),
        Probe::OkRatio { .. } | Probe::Redundant { .. } | Probe::Settled { .. } => None,
    });
    probes.collect()
}

fn claims(drill: &Drill, course: &Course, metrics: &Metrics) -> Vec<Claim> {
    // Of one fault that took effect it can be said that nothing came of it.
    let leads_somewhere =
        !course.injections.is_empty() && course.unproven.is_none() && !course.is_repeated;
    let claims = Measure::ALL.into_iter().filter_map(|measure| {
        let measured = metrics.measured.get(&measure).copied()?;
        let limit = drill.limits.get(&measure).copied();
        // Not every fault leads to every event; whose drill sets it a limit claims that this one does.
        let is_claimed = leads_somewhere && measure.is_event() && limit.is_some();
        let measured = match measured {
            Measured::Unseen if is_claimed => Measured::Never,
            Measured::Unseen | Measured::Never | Measured::Got(_) => measured,
        };
        let goal = drill.goals.get(&measure).copied();
        let standing = standing(measured, limit, goal);
        Some(Claim { measure, measured, limit, goal, standing })
    });
    claims.collect()
}

fn standing(measured: Measured, limit: Option<Value>, goal: Option<Value>) -> Standing {
    let beyond = |bound: Value| match measured {
        Measured::Got(value) => value > bound,
        Measured::Never => true,
        Measured::Unseen => false,
    };
    if limit.is_none() && goal.is_none() {
        Standing::Shown
    } else if limit.is_some_and(beyond) {
        Standing::Exceeded
    } else if limit.is_some() && measured == Measured::Unseen {
        Standing::Unproven
    } else if goal.is_some_and(beyond) {
        Standing::GoalMissed
    } else if measured == Measured::Unseen {
        Standing::Shown
    } else {
        Standing::Met
    }
}

fn of_claim(claim: &Claim) -> Option<(Exit, String)> {
    let limit = claim.limit?;
    let name = claim.measure.name();
    match claim.standing {
        Standing::Exceeded => {
            let exit = if claim.measure.is_safety() { Exit::Safety } else { Exit::Availability };
            Some((exit, format!("{name} is {}, the limit is {limit}", claim.measured)))
        }
        Standing::Unproven => {
            Some((Exit::Inconclusive, format!("{name} was not seen, the limit is {limit}")))
        }
        Standing::Met | Standing::GoalMissed | Standing::Shown => None,
    }
}

fn of_check(check: Check, finding: &Finding) -> Option<(Exit, String)> {
    let first = |lines: &[String]| lines.first().cloned().unwrap_or_default();
    match finding {
        Finding::Pass => None,
        Finding::Fail(witnesses) => {
            let exit = if check.is_safety() { Exit::Safety } else { Exit::Availability };
            Some((exit, format!("{} failed: {}", check.name(), first(witnesses))))
        }
        Finding::Unknown(missing) => {
            let reason = format!("{} cannot tell: {}", check.name(), first(missing));
            Some((Exit::Inconclusive, reason))
        }
    }
}

fn unproven(drill: &Drill, course: &Course, metrics: &Metrics) -> Vec<(Exit, String)> {
    let validity = &drill.validity;
    let mut reasons: Vec<String> =
        course.unproven.iter().map(|why| format!("the fault is not proven: {why}")).collect();
    if metrics.before < validity.min_ops_before {
        let min = validity.min_ops_before;
        reasons.push(format!("{} requests before the fault, {min} needed", metrics.before));
    }
    if metrics.in_window < validity.min_ops_in_window {
        let min = validity.min_ops_in_window;
        reasons.push(format!("{} requests under the fault, {min} needed", metrics.in_window));
    }
    if metrics.lag_p99 > validity.max_generator_lag_p99 {
        let (lag, max) = (metrics.lag_p99, validity.max_generator_lag_p99);
        reasons.push(format!("the load was sent {lag:.1?} late (p99), {max:?} allowed"));
    }
    reasons.into_iter().map(|reason| (Exit::Inconclusive, reason)).collect()
}

#[cfg(test)]
mod tests;
