//! What a suite of drills has done, by what is told of it.

use topology::wire::suite::{Became, SuitePlan, Timed};

/// One entry of the logbook, without the time: that is the writer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    pub kind: Kind,
    pub reason: String,
    pub evidence: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A control plane has the suite followed from now on.
    SuiteFollowed,
    /// It does not any more.
    SuiteLetGo,
    DrillBegun,
    DrillEnded,
    /// What is due does not begin.
    DrillWaits,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::SuiteFollowed,
        Self::SuiteLetGo,
        Self::DrillBegun,
        Self::DrillEnded,
        Self::DrillWaits,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SuiteFollowed => "suite-followed",
            Self::SuiteLetGo => "suite-let-go",
            Self::DrillBegun => "drill-begun",
            Self::DrillEnded => "drill-ended",
            Self::DrillWaits => "drill-waits",
        }
    }
}

/// Returns what has happened between two plans, in order. Of what is seen for the first time only what goes
/// on is told: the rest is long past.
#[must_use]
pub fn since(now: &SuitePlan, before: Option<&SuitePlan>) -> Vec<Rehearsal> {
    let told = |kind, due: &Timed, rest: String| Rehearsal {
        kind,
        reason: format!("{}{rest}", name(due)),
        evidence: format!("the suite {}", now.suite),
    };
    let known = |became: &&Became| {
        before.is_none_or(|before| before.last.iter().any(|last| last.due == became.due))
    };
    let ended = now.last.iter().take_while(|became| !known(became)).map(|became| {
        let why = became.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        told(Kind::DrillEnded, &became.due, format!(" {}{why}", became.outcome.name()))
    });
    let mut happened: Vec<Rehearsal> = ended.collect();
    happened.reverse();
    let running_before = before.and_then(|before| before.running.as_ref());
    let begun = now.running.as_ref().filter(|running| Some(*running) != running_before);
    happened.extend(begun.map(|due| told(Kind::DrillBegun, due, String::new())));
    let held_before = before.and_then(|before| before.held.as_ref());
    let held = now.held.as_ref().filter(|held| Some(*held) != held_before);
    happened.extend(held.map(|held| Rehearsal {
        kind: Kind::DrillWaits,
        reason: held.clone(),
        evidence: format!("the suite {}", now.suite),
    }));
    happened
}

fn name(due: &Timed) -> String {
    let target = due.target.as_ref().map_or_else(String::new, |target| format!(" of {target}"));
    format!("{}{target}", due.drill)
}

#[cfg(test)]
mod tests {
    use topology::wire::suite::Outcome;

    use super::*;

    #[test]
    fn each_drill_is_told_when_it_begins_and_when_it_has_ended_and_once() {
        let quiet = plan(None, &[]);
        let runs = plan(Some(7), &[]);
        let over = plan(None, &[7]);
        assert_eq!(told(&runs, Some(&quiet)), ["drill-begun cell-loss of c1"]);
        assert_eq!(told(&runs, Some(&runs)), [""; 0]);
        let ended = "drill-ended cell-loss of c1 FAILED: late";
        assert_eq!(told(&over, Some(&runs)), [ended]);
        // The next one has begun already when it is looked at.
        let next = plan(Some(9), &[8, 7]);
        assert_eq!(told(&next, Some(&over)), [ended, "drill-begun cell-loss of c1"]);
    }

    #[test]
    fn of_what_is_seen_for_the_first_time_only_what_goes_on_is_told() {
        assert_eq!(told(&plan(Some(9), &[8, 7]), None), ["drill-begun cell-loss of c1"]);
        assert_eq!(told(&plan(None, &[8, 7]), None), [""; 0]);
    }

    #[test]
    fn what_keeps_a_drill_from_beginning_is_told_once() {
        let held = SuitePlan { held: Some("an alert".to_owned()), ..plan(None, &[]) };
        assert_eq!(told(&held, Some(&plan(None, &[]))), ["drill-waits an alert"]);
        assert_eq!(told(&held, Some(&held)), [""; 0]);
    }

    fn told(now: &SuitePlan, before: Option<&SuitePlan>) -> Vec<String> {
        let happened = since(now, before).into_iter();
        happened.map(|it| format!("{} {}", it.kind.name(), it.reason)).collect()
    }

    fn plan(running: Option<u64>, last: &[u64]) -> SuitePlan {
        let due = |due_unix_ms: u64| Timed {
            drill: "cell-loss".to_owned(),
            due_unix_ms,
            target: Some("c1".to_owned()),
        };
        let became = |at: &u64| Became {
            due: due(*at),
            outcome: Outcome::Failed,
            why: Some("late".to_owned()),
        };
        SuitePlan {
            suite: "weekly".to_owned(),
            title: String::new(),
            written_unix_ms: 0,
            running: running.map(due),
            held: None,
            next: Vec::new(),
            last: last.iter().map(became).collect(),
            first_due_unix_ms: None,
            expected: Vec::new(),
        }
    }
}
