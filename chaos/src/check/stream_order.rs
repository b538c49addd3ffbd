//! A stream tells every acknowledged message of its conversation once, in order, however often it is opened
//! again.
//!
//! A conversation's messages and the answers to them are numbered without a gap, so that a number which is
//! not the next one has been told before, or something was skipped. Messages are weak: one that was
//! acknowledged may be gone after its site was lost, told or not, and its number given again. Whoever has
//! been told the lost one comes back with that number. Where the successor has not got that far, it goes on
//! with the number after its own last one, which is of another message; where it has, what has that number
//! now is not told: that is counted ([`unheard`]), and is no failure. Nor is it one that what is gone was not
//! told.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topology::Epoch;

use super::Finding;
use super::messages::{acknowledged, stored};
use crate::course::Course;
use crate::history::{Operation, Step, StreamStep, of_users};

/// An open stream tells what was committed within milliseconds; a machine may be busy for longer.
const TOLD: Duration = Duration::from_secs(5);

pub(super) fn check(course: &Course) -> Finding {
    let (mut broken, mut missing) = (Vec::new(), Vec::new());
    let acked = acknowledged(course);
    let mut is_said = false;
    for (user, steps) in of_users(&course.streams) {
        let name = &course.users[user].name;
        let told = told(&steps);
        broken.extend(out_of_order(name, &told));
        broken.extend(twice(name, &told));
        if !steps.iter().any(|step| step.is_opened()) {
            missing.push(format!("the stream of {name} was never open"));
            continue;
        }
        let stored = match stored(course, user) {
            Ok(stored) => stored,
            Err(why) => {
                missing.push(why);
                continue;
            }
        };
        for (operation, _) in acked.get(&user).into_iter().flatten() {
            is_said = true;
            let (number, at) = (operation.number, operation.ended.as_secs_f64());
            let message = format!("{name}: message {number}, acknowledged at {at:.3} s,");
            match fate(operation, stored, &told, &steps) {
                Fate::Told | Fate::Gone | Fate::Covered => {}
                Fate::Skipped(seq) => broken.push(format!("{message} is {seq}, and was skipped")),
                Fate::Replaced(seq) => {
                    broken.push(format!("{message} is {seq}, and another was told under it"));
                }
                Fate::Unclear(seq) => missing.push(format!(
                    "{message} is {seq}, and another was told under it; under which epochs is not known"
                )),
                Fate::Untold(open) if open >= TOLD => broken.push(format!(
                    "{message} was not told by a stream that was open for {:.1} s after it",
                    open.as_secs_f64()
                )),
                Fate::Untold(open) => missing.push(format!(
                    "{message} was not told, but its stream was open for only {:.1} s after it",
                    open.as_secs_f64()
                )),
            }
        }
    }
    if course.streams.is_empty() {
        missing.push("no stream was held".to_owned());
    } else if !is_said && missing.is_empty() {
        missing.push("nothing was acknowledged in a conversation that is streamed".to_owned());
    }
    Finding::from_evidence(broken, missing)
}

/// Returns how many acknowledged messages that are there were not told, because a lost one had been told
/// under their number; `None` while that is not known of every streamed conversation, or there is none.
pub(crate) fn unheard(course: &Course) -> Option<usize> {
    if course.streams.is_empty() {
        return None;
    }
    let acked = acknowledged(course);
    let mut count = 0;
    for (user, steps) in of_users(&course.streams) {
        let stored = stored(course, user).ok()?;
        let told = told(&steps);
        let of_user = acked.get(&user).into_iter().flatten();
        let covered = of_user
            .filter(|(operation, _)| fate(operation, stored, &told, &steps) == Fate::Covered);
        count += covered.count();
    }
    Some(count)
}

/// A number as it was told.
struct Told<'a> {
    seq: u64,
    id: &'a str,
    /// The operation whose message it was; none of an answer to one.
    number: Option<u32>,
    connection: u32,
    /// Under which the stream had been begun.
    epoch: Option<Epoch>,
}

fn told<'a>(steps: &[&'a StreamStep]) -> Vec<Told<'a>> {
    let mut epoch = None;
    let mut told = Vec::new();
    for step in steps {
        match &step.step {
            Step::Opened(_) => epoch = step.epoch(),
            Step::Heard { seq, id, number } => {
                let (seq, number, connection) = (*seq, *number, step.connection);
                told.push(Told { seq, id, number, connection, epoch });
            }
            Step::Asked { .. } | Step::Ended(_) => {}
        }
    }
    told
}

/// Each number is the next one, or goes on after a loss, and is of a message that was not told before.
fn out_of_order(name: &str, told: &[Told<'_>]) -> Vec<String> {
    let (mut before, mut ids) = (0, BTreeSet::new());
    let mut broken = Vec::new();
    for (at, now) in told.iter().enumerate() {
        let Told { seq, connection, .. } = now;
        let is_due = *seq == before + 1 || *seq <= before && goes_on_after_loss(now, &told[..at]);
        if !ids.insert(now.id) || !is_due {
            let how = match seq.cmp(&(before + 1)) {
                Ordering::Less => "went back to",
                Ordering::Equal => "told again, as",
                Ordering::Greater => "skipped to",
            };
            broken.push(format!("{name}: after {before} connection {connection} {how} {seq}"));
        }
        before = *seq;
    }
    broken
}

/// A site that lost what its predecessors told goes back to behind what it has. Whether it does have that is
/// for the ids to show.
fn goes_on_after_loss(now: &Told<'_>, earlier: &[Told<'_>]) -> bool {
    let mut again = earlier.iter().filter(|it| it.seq >= now.seq);
    again.all(|it| it.epoch.zip(now.epoch).is_some_and(|(then, now)| then < now))
}

/// No connection, which is of one epoch, tells a message under two numbers.
fn twice(name: &str, told: &[Told<'_>]) -> Vec<String> {
    let mut seen: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut broken = Vec::new();
    for Told { seq, number, connection, .. } in told {
        let Some(number) = number else { continue };
        if let Some(before) = seen.insert((*connection, *number), *seq)
            && before != *seq
        {
            broken.push(format!("{name}: message {number} was told as {before} and as {seq}"));
        }
    }
    broken
}

/// What became of an acknowledged message on its user's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Told,
    /// It is not in its conversation any more.
    Gone,
    /// Its number had been told of another one under an earlier epoch, which is gone.
    Covered,
    /// The number was told of another under the same epoch.
    Replaced(u64),
    /// One or the other: a repeated answer does not say under which epoch it was given first.
    Unclear(u64),
    /// A later number was told.
    Skipped(u64),
    /// The stream has not got that far, for as long as it was open last.
    Untold(Duration),
}

fn fate(
    operation: &Operation,
    stored: &[(u64, u32)],
    told: &[Told<'_>],
    steps: &[&StreamStep],
) -> Fate {
    let Some((seq, _)) = stored.iter().find(|(_, number)| *number == operation.number) else {
        return Fate::Gone;
    };
    if told.iter().any(|it| it.number == Some(operation.number)) {
        return Fate::Told;
    }
    if told.last().is_none_or(|last| last.seq < *seq) {
        return Fate::Untold(open_last(steps, operation.ended));
    }
    if let Some(other) = told.iter().rfind(|it| it.seq == *seq) {
        let served = operation.served.as_ref().filter(|served| !served.replayed);
        let acked = served.map(|served| served.epoch);
        return match other.epoch.zip(acked) {
            Some((told, acked)) if told < acked => Fate::Covered,
            Some(_) => Fate::Replaced(*seq),
            None => Fate::Unclear(*seq),
        };
    }
    Fate::Skipped(*seq)
}

/// Returns for how long after a moment the stream's last connection was open.
fn open_last(steps: &[&StreamStep], since: Duration) -> Duration {
    let Some(last) = steps.last() else { return Duration::ZERO };
    let of_last = steps.iter().rev().take_while(|step| step.connection == last.connection);
    let opened = of_last.copied().find(|step| step.is_opened());
    opened.map_or(Duration::ZERO, |opened| last.at.saturating_sub(opened.at.max(since)))
}

#[cfg(test)]
mod tests;
