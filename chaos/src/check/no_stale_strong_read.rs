//! A strong read shows at least what was acknowledged before it was asked, and nothing that nobody had
//! asked for; and all answers about one ticket can be told one after the other.
//!
//! A strong read asks for no old answer, and so one that calls itself old is wrong whatever it shows; and
//! nobody but a weak read, which may be of before it was opened, may be told that the ticket is not there.
//!
//! What vouches for a version is an acknowledged transition, a read that does not call itself an old one,
//! and the refusal of a transition that says which version there is instead. The last read of all is made
//! when the drill is over.

mod order;

use std::collections::BTreeMap;
use std::time::Duration;

use self::order::{Act, Call, Order, PLACES_MAX, order, witness};
use super::Finding;
use crate::course::{Course, FinalVersion};
use crate::history::{Effect, FIRST_VERSION, Failure, Kind, Operation, Outcome};

/// Calls told of a witness: the last ones, of which the very last does not fit.
const TOLD_MAX: usize = 6;

/// Something about one kept ticket, as the order of all such things is looked for.
#[derive(Clone)]
struct Step {
    name: String,
    call: Call,
}

pub(super) fn check(course: &Course) -> Finding {
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    let mut of_users: BTreeMap<usize, Vec<&Operation>> = BTreeMap::new();
    for operation in course.operations.iter().filter(|op| op.kind.is_of_kept_ticket()) {
        of_users.entry(operation.user).or_default().push(operation);
    }
    let is_strong_read = |op: &Operation| op.kind == Kind::StrongRead && op.is_ok();
    if !course.operations.iter().any(is_strong_read) {
        missing.push("no strong read was answered".to_owned());
    }
    for (user, operations) in of_users {
        let name = &course.users[user].name;
        let mut steps: Vec<Step> = operations.iter().filter_map(|op| step(op)).collect();
        match course.final_state.versions.get(&user) {
            Some(FinalVersion::Is(version)) => steps.push(last_read(*version)),
            Some(FinalVersion::Gone) => broken.push(format!("the ticket of {name} is gone")),
            Some(FinalVersion::Unread(why)) => missing.push(format!("the ticket of {name}: {why}")),
            None => missing.push(format!("the ticket of {name} was not read in the end")),
        }
        let found = denied(&operations).or_else(|| unasked(&operations)).or_else(|| stale(&steps));
        if let Some(told) = found {
            broken.push(format!("of the ticket of {name}, {told}"));
            continue;
        }
        let call = |(number, step): (usize, &Step)| Call { number, ..step.call };
        let calls: Vec<Call> = steps.iter().enumerate().map(call).collect();
        match order(&calls, FIRST_VERSION, PLACES_MAX) {
            Order::Exists => {}
            Order::Impossible => broken.push(format!(
                "what was answered about the ticket of {name} cannot have happened in any order: {}",
                told(&steps, witness(&calls, FIRST_VERSION, PLACES_MAX))
            )),
            Order::Unknown => missing.push(format!(
                "the ticket of {name}: {} answers have too many orders to look at",
                calls.len()
            )),
        }
    }
    Finding::from_evidence(broken, missing)
}

/// Returns what a request says about the ticket's version; nothing if it certainly had no effect and
/// found nothing.
fn step(operation: &Operation) -> Option<Step> {
    let Operation { sent, ended, .. } = *operation;
    // Any try may have set it; what was found was looked up for the last one.
    let (act, begun, ended) = match &operation.outcome {
        Outcome::Ok(Effect::Changed { version }) => {
            (Act::Set { from: version.saturating_sub(1) }, sent, ended)
        }
        Outcome::Ok(_) => {
            (Act::Found { value: operation.vouched_version()? }, operation.asked(), ended)
        }
        Outcome::Unknown(_) => (Act::MaybeSet { from: operation.from? }, sent, Duration::MAX),
        Outcome::Fail(_) => return None,
    };
    let name = format!("{} {}", operation.kind.name(), operation.number);
    Some(Step { name, call: Call { number: 0, act, begun, ended } })
}

fn last_read(version: u64) -> Step {
    let act = Act::Found { value: version };
    let call = Call { number: 0, act, begun: Duration::MAX, ended: Duration::MAX };
    Step { name: "the last read".to_owned(), call }
}

/// Returns an answer that is wrong by itself: an old one where none was asked for, or that there is no
/// such ticket.
fn denied(operations: &[&Operation]) -> Option<String> {
    const NOT_FOUND: u16 = 404;
    operations.iter().filter(|op| op.kind != Kind::WeakRead).find_map(|operation| {
        let (kind, number) = (operation.kind.name(), operation.number);
        match &operation.outcome {
            Outcome::Ok(Effect::Read { version, stale: true }) => {
                Some(format!("{kind} {number} was given an old answer, {version}, which says so"))
            }
            Outcome::Fail(Failure::Status { status: NOT_FOUND, .. }) => {
                Some(format!("{kind} {number} was told that there is none"))
            }
            Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => None,
        }
    })
}

/// Returns an answer with a version that nobody had asked for by then, or to a transition that was not
/// compared with what its user had seen.
fn unasked(operations: &[&Operation]) -> Option<String> {
    operations.iter().find_map(|operation| {
        let (kind, number) = (operation.kind.name(), operation.number);
        let version = match operation.outcome {
            Outcome::Ok(Effect::Overtaken { version }) if operation.from == Some(version) => {
                return Some(format!(
                    "{kind} {number} was refused, and found version {version} as it had been seen"
                ));
            }
            Outcome::Ok(Effect::Changed { version }) if operation.from != version.checked_sub(1) => {
                return Some(format!(
                    "{kind} {number} made it {version}, and was decided on another version than the \
                     one before"
                ));
            }
            Outcome::Ok(Effect::Overtaken { version } | Effect::Read { version, .. }) => version,
            Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => return None,
        };
        let may_have_set = |op: &&&Operation| match op.outcome {
            Outcome::Ok(Effect::Changed { .. }) | Outcome::Unknown(_) => op.sent <= operation.ended,
            Outcome::Ok(_) | Outcome::Fail(_) => false,
        };
        let set = operations.iter().filter(may_have_set).filter_map(|op| op.from);
        let highest = set.map(|from| from + 1).max().unwrap_or(FIRST_VERSION);
        (version > highest).then(|| {
            format!("{kind} {number} answered {version}, and {highest} was the highest asked for")
        })
    })
}

/// Returns the first answer that shows less than another one had shown before it was asked.
fn stale(steps: &[Step]) -> Option<String> {
    let mut by_end: Vec<&Step> =
        steps.iter().filter(|step| step.call.act.shows().is_some()).collect();
    by_end.sort_by_key(|step| step.call.ended);
    // The highest that was shown, as it grew.
    let mut shown: Vec<&Step> = Vec::new();
    for step in by_end {
        let before = shown.partition_point(|other| other.call.ended < step.call.begun);
        let highest = before.checked_sub(1).and_then(|last| shown.get(last));
        if let Some(highest) = highest
            && step.call.act.needs() < highest.call.act.shows()
        {
            return Some(format!("{}, after {}", tell(step), tell(highest)));
        }
        if shown.last().is_none_or(|last| last.call.act.shows() < step.call.act.shows()) {
            shown.push(step);
        }
    }
    None
}

impl Act {
    /// The version there certainly was when it had happened.
    fn shows(self) -> Option<u64> {
        match self {
            Self::Set { from } => Some(from + 1),
            Self::Found { value } => Some(value),
            Self::MaybeSet { .. } => None,
        }
    }

    /// The version there was when it happened.
    fn needs(self) -> Option<u64> {
        match self {
            Self::Set { from: value } | Self::Found { value } => Some(value),
            Self::MaybeSet { .. } => None,
        }
    }
}

fn tell(step: &Step) -> String {
    let what = match step.call.act {
        Act::Set { from } => format!("made it {}", from + 1),
        Act::MaybeSet { from } => format!("may have made it {}", from + 1),
        Act::Found { value } => format!("answered {value}"),
    };
    let (begun, ended) = (step.call.begun, step.call.ended);
    let when = match (begun, ended) {
        (Duration::MAX, _) => String::new(),
        (begun, Duration::MAX) => format!(" (sent at {:.3} s)", begun.as_secs_f64()),
        (begun, ended) => format!(" ({:.3} to {:.3} s)", begun.as_secs_f64(), ended.as_secs_f64()),
    };
    format!("{} {what}{when}", step.name)
}

/// Tells the last calls of a witness, the one that does not fit at the end.
fn told(steps: &[Step], mut witness: Vec<Call>) -> String {
    // One that was not answered is told when it was sent.
    witness.sort_by_key(|call| if call.act.must_happen() { call.ended } else { call.begun });
    let from = witness.len().saturating_sub(TOLD_MAX);
    let lines: Vec<String> = witness[from..].iter().map(|call| tell(&steps[call.number])).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests;
