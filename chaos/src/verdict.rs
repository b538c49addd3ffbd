//! What a run came to: claims against measures, checks, and the exit they add up to.
//!
//! Pure. Precedence: what was left behind outweighs lost data, which outweighs a missed limit,
//! which outweighs having been stopped, a failure of the drill itself, and missing evidence.

mod reason;
pub(crate) mod words;

use serde::Serialize;

use self::reason::{OkRatio, Reason};
use crate::check::{Check, Finding};
use crate::course::Course;
use crate::drill::{Drill, Probe};
use crate::exit::Exit;
use crate::metrics::{Measure, Measured, Metrics, Value};

pub(crate) use words::Text;

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
    /// The same in Chinese, one for each.
    pub(crate) reasons_zh: Vec<String>,
    /// Goals that were missed.
    pub(crate) warnings: Vec<String>,
    /// The same in Chinese, one for each.
    pub(crate) warnings_zh: Vec<String>,
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
    let mut against: Vec<(Exit, Reason)> = Vec::new();
    let residue = course.residue.iter().cloned().map(Reason::LeftBehind);
    against.extend(residue.map(|reason| (Exit::Residue, reason)));
    let said = |why: &String| Reason::Said(why.clone());
    against.extend(course.aborted.iter().map(|why| (Exit::Aborted, said(why))));
    against.extend(course.refused.iter().map(|why| (Exit::Refused, said(why))));
    against.extend(course.harness.iter().map(|why| (Exit::Harness, said(why))));
    against.extend(course.unsteady.iter().map(|why| (Exit::Unsteady, Reason::unsteady(why))));
    let mut warnings: Vec<Reason> = Vec::new();
    if injected {
        against.extend(unproven(drill, course, metrics));
        against.extend(checks.iter().filter_map(|(check, finding)| of_check(*check, finding)));
        // Where nobody looked to the end, that nothing was seen proves nothing.
        let told = claims.iter().filter(|claim| !cut_short || claim.measured != Measured::Never);
        against.extend(told.filter_map(of_claim));
        let missed = claims.iter().filter(|claim| claim.standing == Standing::GoalMissed);
        let missed = missed.filter_map(|claim| {
            Some(Reason::BeyondGoal(claim.measure, claim.measured, claim.goal?))
        });
        match goals {
            Goals::Strict => against.extend(missed.map(|reason| (Exit::Availability, reason))),
            Goals::Warn => warnings.extend(missed),
        }
    }
    against.retain(|(exit, _)| !(cut_short && *exit == Exit::Inconclusive));
    against.sort_by_key(|(exit, _)| std::cmp::Reverse(*exit));
    Verdict {
        exit: against.first().map_or(Exit::Pass, |(exit, _)| *exit),
        reasons: against.iter().map(|(_, reason)| reason.to_string()).collect(),
        reasons_zh: against.iter().map(|(_, reason)| reason.chinese()).collect(),
        warnings: warnings.iter().map(Reason::to_string).collect(),
        warnings_zh: warnings.iter().map(Reason::chinese).collect(),
        claims,
        checks,
    }
}

/// Returns why the steady state is not met by what the baseline showed.
pub(crate) fn unsteady(drill: &Drill, metrics: &Metrics) -> Vec<String> {
    let probes = drill.steady_state.iter().filter_map(|probe| match probe {
        Probe::OkRatio { name, at_least } if metrics.ok_before < *at_least => {
            let ok_ratio = OkRatio {
                name: name.clone(),
                answered: metrics.ok_before * 100.0,
                asked: metrics.before,
                needed: at_least * 100.0,
            };
            Some(ok_ratio.to_string())
        }
        Probe::OkRatio { .. } | Probe::Redundant { .. } | Probe::Settled { .. } => None,
    });
    probes.collect()
}

fn claims(drill: &Drill, course: &Course, metrics: &Metrics) -> Vec<Claim> {
    // Of one fault that took effect it can be said that nothing came of it.
    let leads_somewhere =
        !course.injections.is_empty() && course.unproven.is_none() && !course.is_repeated;
    let claims = Measure::ALL.into_iter().filter_map(|measure| {
        let limit = drill.limits.get(&measure).copied();
        // What a drill claims and nobody has measured is not kept.
        let unmeasured = limit.map(|_| Measured::Unseen);
        let measured = metrics.measured.get(&measure).copied().or(unmeasured)?;
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

fn of_claim(claim: &Claim) -> Option<(Exit, Reason)> {
    let (measure, limit) = (claim.measure, claim.limit?);
    match claim.standing {
        Standing::Exceeded => {
            let exit = if measure.is_safety() { Exit::Safety } else { Exit::Availability };
            Some((exit, Reason::BeyondLimit(measure, claim.measured, limit)))
        }
        Standing::Unproven => Some((Exit::Inconclusive, Reason::NotSeen(measure, limit))),
        Standing::Met | Standing::GoalMissed | Standing::Shown => None,
    }
}

fn of_check(check: Check, finding: &Finding) -> Option<(Exit, Reason)> {
    let first = |lines: &[String]| lines.first().cloned().unwrap_or_default();
    match finding {
        Finding::Pass => None,
        Finding::Fail(witnesses) => {
            let exit = if check.is_safety() { Exit::Safety } else { Exit::Availability };
            Some((exit, Reason::Failed(check, first(witnesses))))
        }
        Finding::Unknown(missing) => {
            Some((Exit::Inconclusive, Reason::CannotTell(check, first(missing))))
        }
    }
}

fn unproven(drill: &Drill, course: &Course, metrics: &Metrics) -> Vec<(Exit, Reason)> {
    let validity = &drill.validity;
    let mut reasons: Vec<Reason> = course.unproven.iter().cloned().map(Reason::NotProven).collect();
    let (asked, needed) = (metrics.before, validity.min_ops_before);
    if asked < needed {
        reasons.push(Reason::FewBefore { asked, needed });
    }
    let (asked, needed) = (metrics.in_window, validity.min_ops_in_window);
    if asked < needed {
        reasons.push(Reason::FewUnderFault { asked, needed });
    }
    let (p99, allowed) = (metrics.lag_p99, validity.max_generator_lag_p99);
    if p99 > allowed {
        reasons.push(Reason::SentLate { p99, allowed });
    }
    reasons.into_iter().map(|reason| (Exit::Inconclusive, reason)).collect()
}

#[cfg(test)]
mod tests;
