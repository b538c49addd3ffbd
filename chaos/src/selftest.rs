//! `chaos selftest`: a green check proves nothing until it has been red. Each defect a platform like
//! this could have is put into the history of a run without any, and the check that is meant for
//! it has to say so; on the history without defects every check has to pass.

mod healthy;

use topology::Epoch;

use crate::check::{Check, Finding};
use crate::course::{ConversationRead, Course, DatabaseRead, Doubts, LostWritesRead, Seen};
use crate::drill::Expect;
use crate::history::{Effect, Failure, Operation, Outcome, Step, StreamStep};
use crate::ledger::{LedgerRead, Noted};
use crate::logs::LogsRead;
use crate::replica::ReplicaRead;
use crate::selftest::healthy::{MOVED_AT, READ, healthy, served};

/// Something a platform could do wrong.
pub(crate) struct Defect {
    pub(crate) name: &'static str,
    /// What the platform would do, for people.
    pub(crate) what: &'static str,
    /// The check that must not let it pass.
    pub(crate) meant: Check,
    put_in: fn(&mut Course),
}

/// What became of a defect.
pub(crate) struct Caught {
    pub(crate) defect: Defect,
    /// Every check that failed.
    pub(crate) by: Vec<Check>,
}

pub(crate) const DEFECTS: [Defect; 23] = [
    Defect {
        name: "ack-before-commit",
        what: "a ticket is acknowledged before it is committed, and its site dies in between",
        meant: Check::NoLostAck,
        put_in: |course| forget_ticket(course, 2),
    },
    Defect {
        name: "lagging-standby-promoted",
        what: "a standby is promoted that lacks an acknowledged ticket",
        meant: Check::NoLostAck,
        put_in: |course| {
            forget_ticket(course, 4);
            course.final_state.through_router.insert(4, Seen::Missing);
        },
    },
    Defect {
        name: "refused-yet-done",
        what: "a ticket is refused for good, and is written nevertheless",
        meant: Check::NoLostAck,
        put_in: |course| {
            let (status, code) = (422, "refused".to_owned());
            let refused = Failure::Status { status, code, says_when: false };
            course.operations[2].outcome = Outcome::Fail(refused);
        },
    },
    Defect {
        name: "no-deduplication",
        what: "an idempotency key is not remembered, and a message is written again",
        meant: Check::ExactlyOnce,
        put_in: |course| {
            for read in course.final_state.conversations.values_mut() {
                if let ConversationRead::Messages(messages) = read
                    && let Some((seq, number)) = messages.last().copied()
                {
                    messages.push((seq + 1, number));
                }
            }
        },
    },
    Defect {
        name: "keys-not-replicated",
        what: "the successor does not know an idempotency key, and does the request again",
        meant: Check::ExactlyOnce,
        put_in: |course| {
            for read in course.final_state.databases.values_mut() {
                if let DatabaseRead::Tickets(rows) = read
                    && let Some(count) = rows.get_mut(&4)
                {
                    *count = 2;
                }
            }
        },
    },
    Defect {
        name: "two-keys-one-answer",
        what: "two requests are acknowledged with one ticket",
        meant: Check::ExactlyOnce,
        put_in: |course| {
            let first = course.operations[2].outcome.clone();
            course.operations[4].outcome = first;
        },
    },
    Defect {
        name: "epoch-ignored",
        what: "a router sends a ticket to the old site, which takes it after its successor has",
        meant: Check::SingleWriter,
        put_in: |course| {
            let late = course.operations.last_mut().expect("the history has operations");
            late.served = Some(served("east", 1));
        },
    },
    Defect {
        name: "epoch-ignored-on-retry",
        what: "a ticket is asked for again after the move, and the old site takes it",
        meant: Check::SingleWriter,
        put_in: |course| {
            let late = course.operations.last_mut().expect("the history has operations");
            let again = late.sent;
            late.sent = MOVED_AT / 2;
            late.last_try = again.saturating_sub(late.sent);
            late.tries = 2;
            late.served = Some(served("east", 1));
        },
    },
    Defect {
        name: "no-fence-on-thaw",
        what: "a site that stood still wakes up, and acknowledges what had waited in it",
        meant: Check::NoLateAck,
        put_in: |course| {
            let mut waited = course.operations[3].clone();
            waited.number = u32::MAX;
            waited.sent = MOVED_AT * 3;
            waited.ended = MOVED_AT * 3;
            waited.served = Some(served("east", 1));
            course.direct.push(waited);
        },
    },
    Defect {
        name: "strong-read-from-standby",
        what: "a standby that is behind answers a read as if it were the active site",
        meant: Check::NoStaleStrongRead,
        put_in: |course| {
            let stale = Outcome::Ok(Effect::Read { version: 2, stale: false });
            operation(course, READ).outcome = stale;
        },
    },
    Defect {
        name: "set-without-compare",
        what: "two transitions are acknowledged that were decided on the same version",
        meant: Check::NoStaleStrongRead,
        put_in: |course| {
            let mut twin = operation(course, READ - 1).clone();
            twin.number = 13;
            course.operations.insert(6, twin);
        },
    },
    Defect {
        name: "sequence-restarted",
        what: "the successor numbers a conversation's messages anew",
        meant: Check::SessionOrder,
        put_in: |course| {
            for operation in course.operations.iter_mut().rev().take(2) {
                if let Outcome::Ok(Effect::Message { seq }) = &mut operation.outcome {
                    *seq = 1;
                }
            }
        },
    },
    Defect {
        name: "resumed-too-late",
        what: "the successor goes on with a stream behind a message that its user was not told",
        meant: Check::StreamOrder,
        put_in: |course| course.streams.retain(|step| !is_told_again(step)),
    },
    Defect {
        name: "resumed-too-early",
        what: "the successor tells a stream's user a message that they have been told",
        meant: Check::StreamOrder,
        put_in: |course| {
            let told = course.streams.iter().position(is_told_again);
            let at = told.expect("the history has a stream that goes on");
            let again = Step::Heard { seq: 1, id: "msg_1".to_owned(), number: Some(1) };
            course.streams.insert(at, StreamStep { step: again, ..course.streams[at].clone() });
        },
    },
    Defect {
        name: "loss-not-reported",
        what: "an acknowledged message is lost, and the platform's report does not list it",
        meant: Check::LostWritesReported,
        put_in: |course| {
            for read in course.final_state.lost_writes.values_mut() {
                *read = LostWritesRead::Reported { rows: Vec::new(), gaps: Vec::new() };
            }
        },
    },
    Defect {
        name: "fault-spreads",
        what: "a fault in one cell makes another one hang",
        meant: Check::BlastRadius,
        put_in: |course| {
            let other = course.operations.iter_mut().find(|op| op.user == 1 && op.sent > MOVED_AT);
            other.expect("the other cell is asked after the fault").outcome =
                Outcome::Unknown(Failure::Timeout);
        },
    },
    Defect {
        name: "blind-and-silent",
        what: "a control plane that sees no site writes nothing down of what it made of that",
        meant: Check::ObserverAlone,
        put_in: |course| {
            for injection in &mut course.injections {
                injection.observer = "north".parse().ok();
            }
            course.final_state.doubts = Some(Doubts::default());
        },
    },
    Defect {
        name: "alone-and-strong",
        what: "a site without voters acknowledges a ticket that nobody else has",
        meant: Check::NoForbiddenAck,
        put_in: refuse_writes,
    },
    Defect {
        name: "left-waiting",
        what: "a ticket that cannot be taken is neither taken nor refused",
        meant: Check::CleanRefusals,
        put_in: |course| {
            refuse_writes(course);
            let waiting = operation(course, 8);
            waiting.outcome = Outcome::Unknown(Failure::Timeout);
            (waiting.sent, waiting.ended) = (MOVED_AT * 3, MOVED_AT * 4);
        },
    },
    Defect {
        name: "written-under-an-old-epoch",
        what: "the successor goes on writing under the epoch of the site it has succeeded",
        meant: Check::Ledger,
        put_in: |course| {
            for row in rows_of(course, 4) {
                if let Some(by) = &mut row.by {
                    by.epoch = Epoch(1);
                }
            }
        },
    },
    Defect {
        name: "epoch-used-twice",
        what: "a site writes under an epoch that another one had, and nobody is answered",
        meant: Check::Ledger,
        put_in: |course| {
            for read in course.final_state.ledger.values_mut() {
                if let LedgerRead::Rows(rows) = read
                    && let Some(mut row) = rows.iter().find(|row| row.number == Some(8)).cloned()
                {
                    row.number = Some(6);
                    row.by.iter_mut().for_each(|by| by.site.region = served("north", 3).region);
                    rows.push(row);
                }
            }
            let unanswered = Outcome::Unknown(Failure::Timeout);
            operation(course, 6).outcome = unanswered;
        },
    },
    Defect {
        name: "copy-not-equal",
        what: "a standby has lost a change of a ticket, and goes on replicating",
        meant: Check::Convergence,
        put_in: |course| {
            let copies = course.final_state.replicas.values_mut();
            for read in copies.filter(|read| !is_primary(read)).take(1) {
                if let ReplicaRead::Is(replica) = read {
                    let tables = replica.tables.values_mut();
                    tables.for_each(|table| "bad".clone_into(&mut table.checksum));
                }
            }
        },
    },
    Defect {
        name: "panic-unseen",
        what: "a process panics and is started again, and every request is answered all the same",
        meant: Check::LogPatterns,
        put_in: |course| {
            let line = "c1@south.log: thread 'main' panicked at src/lib.rs:1:1: boom".to_owned();
            course.final_state.logs = Some(LogsRead::Read { grave: vec![line], gaps: Vec::new() });
        },
    },
];

/// Returns the checks that do not let the history without defects pass: none.
pub(crate) fn false_alarms() -> Vec<Check> {
    failing(&healthy())
}

pub(crate) fn run() -> Vec<Caught> {
    let caught = DEFECTS.into_iter().map(|defect| {
        let mut course = healthy();
        (defect.put_in)(&mut course);
        Caught { defect, by: failing(&course) }
    });
    caught.collect()
}

fn failing(course: &Course) -> Vec<Check> {
    // Missing evidence is no alarm, and no pass either.
    let fails = |check: &Check| !matches!(check.run(course), Finding::Pass);
    Check::ALL.into_iter().filter(fails).collect()
}

impl Caught {
    pub(crate) fn is_right(&self) -> bool {
        self.by.contains(&self.defect.meant)
    }
}

fn operation(course: &mut Course, number: u32) -> &mut Operation {
    let found = course.operations.iter_mut().find(|operation| operation.number == number);
    found.expect("the history has this operation")
}

/// From the fault on nobody was to write, for long.
fn refuse_writes(course: &mut Course) {
    for injection in &mut course.injections {
        injection.expect = Expect::RefuseWrites;
    }
    course.healed = Some(MOVED_AT * 6);
}

/// Whether the successor told a message.
fn is_told_again(step: &StreamStep) -> bool {
    step.at > MOVED_AT && matches!(step.step, Step::Heard { .. })
}

/// Returns what every database has noted of an operation.
fn rows_of(course: &mut Course, number: u32) -> impl Iterator<Item = &mut Noted> {
    let rows = course.final_state.ledger.values_mut().flat_map(|read| match read {
        LedgerRead::Rows(rows) => rows.as_mut_slice(),
        LedgerRead::Unread(_) => &mut [],
    });
    rows.filter(move |row| row.number == Some(number))
}

fn is_primary(read: &ReplicaRead) -> bool {
    matches!(read, ReplicaRead::Is(replica) if replica.is_primary)
}

fn forget_ticket(course: &mut Course, number: u32) {
    for read in course.final_state.databases.values_mut() {
        if let DatabaseRead::Tickets(rows) = read {
            rows.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::healthy::LOST;
    use super::*;
    use crate::course::LostRow;
    use crate::drill::Drill;

    #[test]
    fn every_defect_is_caught_by_the_check_meant_for_it_and_nothing_else_is_alarmed() {
        assert_eq!(false_alarms(), Vec::<Check>::new());
        for caught in run() {
            assert!(caught.is_right(), "{}: {:?}", caught.defect.name, caught.by);
        }
    }

    #[test]
    fn every_check_has_a_defect_it_is_meant_for() {
        for check in Check::ALL {
            assert!(DEFECTS.iter().any(|defect| defect.meant == check), "{}", check.name());
        }
    }

    /// `make selftest` takes minutes, and so the tests leave it out: its drills are read here.
    #[test]
    fn what_is_done_for_real_is_in_the_list_and_its_drill_has_the_check_meant_for_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/selftest");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let drill = Drill::parse(&name, &text).unwrap();
            let defect = DEFECTS.iter().find(|defect| defect.name == name);
            assert!(drill.checks.contains(&defect.unwrap().meant), "{name}");
            names.push(name);
        }
        names.sort();
        assert_eq!(
            names,
            [
                "ack-before-commit",
                "epoch-ignored",
                "keys-not-replicated",
                "lagging-standby-promoted",
                "no-deduplication",
                "no-fence-on-thaw",
                "strong-read-from-standby",
            ]
        );
    }

    #[test]
    fn the_history_without_defects_has_a_loss_that_is_right() {
        let rows = |read: &LostWritesRead| match read {
            LostWritesRead::Reported { rows, .. } => rows.clone(),
            LostWritesRead::Unread(_) => Vec::new(),
        };
        let lost: Vec<LostRow> =
            healthy().final_state.lost_writes.values().flat_map(rows).collect();
        assert_eq!(lost.iter().map(|row| row.number).collect::<Vec<_>>(), [LOST]);
        let kept = ConversationRead::Messages(vec![(1, 1), (2, 7)]);
        assert_eq!(healthy().final_state.conversations[&0], kept);
    }
}
