//! Histories for tests, short enough to read.

use std::time::Duration;

use topology::{Epoch, Slot};

use super::{Effect, End, Failure, Kind, Operation, Outcome, Served, Step, StreamStep, User};

/// User 0 lives in cell c1, user 1 in cell c2.
pub(crate) fn users() -> Vec<User> {
    [("u0", "c1"), ("u1", "c2")]
        .map(|(name, cell)| User {
            name: name.to_owned(),
            slot: Slot::of(name),
            cell: cell.parse().unwrap(),
        })
        .into()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An acknowledged ticket of user 0, in east under epoch 1.
pub(crate) fn ticket(number: u32, sent: u64, ended: u64) -> Operation {
    Operation {
        number,
        kind: Kind::Ticket,
        user: 0,
        from: None,
        tries: 1,
        intended: ms(sent),
        sent: ms(sent),
        last_try: Duration::ZERO,
        ended: ms(ended),
        outcome: Outcome::Ok(Effect::Ticket { id: format!("tkt_{number}") }),
        served: Some(served("east", 1)),
    }
}

/// The same request, sent for the last time at that moment.
pub(crate) fn again(at: u64, operation: Operation) -> Operation {
    let last_try = ms(at).saturating_sub(operation.sent);
    Operation { tries: operation.tries + 1, last_try, ..operation }
}

/// An acknowledged message of user 0, in east under epoch 1.
pub(crate) fn message(number: u32, sent: u64, ended: u64, seq: u64) -> Operation {
    let outcome = Outcome::Ok(Effect::Message { seq });
    Operation { kind: Kind::Message, outcome, ..ticket(number, sent, ended) }
}

/// An acknowledged transition of user 0's ticket, from the version before.
pub(crate) fn changed(number: u32, sent: u64, ended: u64, version: u64) -> Operation {
    let outcome = Outcome::Ok(Effect::Changed { version });
    let from = Some(version - 1);
    Operation { kind: Kind::Transition, from, outcome, ..ticket(number, sent, ended) }
}

/// What the active site answered when it was asked for user 0's ticket.
pub(crate) fn read(number: u32, sent: u64, ended: u64, version: u64) -> Operation {
    let outcome = Outcome::Ok(Effect::Read { version, stale: false });
    Operation { kind: Kind::StrongRead, outcome, ..ticket(number, sent, ended) }
}

pub(crate) fn refused(number: u32, sent: u64, ended: u64) -> Operation {
    let outcome = Outcome::Fail(Failure::Refused);
    Operation { outcome, served: None, ..ticket(number, sent, ended) }
}

pub(crate) fn served(region: &str, epoch: u64) -> Served {
    Served {
        cell: "c1".parse().unwrap(),
        region: region.parse().unwrap(),
        epoch: Epoch(epoch),
        replayed: false,
    }
}

/// A connection of user 0's stream, each of its steps so many milliseconds after the run began.
pub(crate) fn connection(number: u32, steps: Vec<(u64, Step)>) -> Vec<StreamStep> {
    let of = |(at, step)| StreamStep { user: 0, connection: number, at: ms(at), step };
    steps.into_iter().map(of).collect()
}

/// Begun by east under this epoch.
pub(crate) fn opened(epoch: u64) -> Step {
    Step::Opened(Some(served("east", epoch)))
}

/// An operation's message.
pub(crate) fn heard(seq: u64, number: u32) -> Step {
    Step::Heard { seq, id: format!("msg_{seq}_{number}"), number: Some(number) }
}

/// An answer to one.
pub(crate) fn heard_reply(seq: u64) -> Step {
    Step::Heard { seq, id: format!("msg_{seq}"), number: None }
}

pub(crate) fn ended(end: End) -> Step {
    Step::Ended(end)
}
