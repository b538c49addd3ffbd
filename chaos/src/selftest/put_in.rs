//! How each defect is put into the history without any: a function of its name.

use topology::Epoch;

use crate::course::{ConversationRead, Course, DatabaseRead, Doubts, LostWritesRead, Seen};
use crate::drill::Expect;
use crate::history::{Effect, Failure, Operation, Outcome, Step, StreamStep};
use crate::ledger::{LedgerRead, Noted};
use crate::logs::LogsRead;
use crate::replica::ReplicaRead;
use crate::selftest::healthy::{MOVED_AT, READ, served};

pub(super) fn ack_before_commit(course: &mut Course) {
    forget_ticket(course, 2);
}

pub(super) fn lagging_standby_promoted(course: &mut Course) {
    forget_ticket(course, 4);
    course.final_state.through_router.insert(4, Seen::Missing);
}

pub(super) fn refused_yet_done(course: &mut Course) {
    let (status, code) = (422, "refused".to_owned());
    let refused = Failure::Status { status, code, says_when: false };
    course.operations[2].outcome = Outcome::Fail(refused);
}

pub(super) fn no_deduplication(course: &mut Course) {
    for read in course.final_state.conversations.values_mut() {
        if let ConversationRead::Messages(messages) = read
            && let Some((seq, number)) = messages.last().copied()
        {
            messages.push((seq + 1, number));
        }
    }
}

pub(super) fn keys_not_replicated(course: &mut Course) {
    for read in course.final_state.databases.values_mut() {
        if let DatabaseRead::Tickets(rows) = read
            && let Some(count) = rows.get_mut(&4)
        {
            *count = 2;
        }
    }
}

pub(super) fn two_keys_one_answer(course: &mut Course) {
    let first = course.operations[2].outcome.clone();
    course.operations[4].outcome = first;
}

pub(super) fn epoch_ignored(course: &mut Course) {
    let late = course.operations.last_mut().expect("the history has operations");
    late.served = Some(served("east", 1));
}

pub(super) fn epoch_ignored_on_retry(course: &mut Course) {
    let late = course.operations.last_mut().expect("the history has operations");
    let again = late.sent;
    late.sent = MOVED_AT / 2;
    late.last_try = again.saturating_sub(late.sent);
    late.tries = 2;
    late.served = Some(served("east", 1));
}

pub(super) fn no_fence_on_thaw(course: &mut Course) {
    let mut waited = course.operations[3].clone();
    waited.number = u32::MAX;
    waited.sent = MOVED_AT * 3;
    waited.ended = MOVED_AT * 3;
    waited.served = Some(served("east", 1));
    course.direct.push(waited);
}

pub(super) fn strong_read_from_standby(course: &mut Course) {
    let stale = Outcome::Ok(Effect::Read { version: 2, stale: false });
    operation(course, READ).outcome = stale;
}

pub(super) fn set_without_compare(course: &mut Course) {
    let mut twin = operation(course, READ - 1).clone();
    twin.number = 13;
    course.operations.insert(6, twin);
}

pub(super) fn sequence_restarted(course: &mut Course) {
    for operation in course.operations.iter_mut().rev().take(2) {
        if let Outcome::Ok(Effect::Message { seq }) = &mut operation.outcome {
            *seq = 1;
        }
    }
}

pub(super) fn resumed_too_late(course: &mut Course) {
    course.streams.retain(|step| !is_told_again(step));
}

pub(super) fn resumed_too_early(course: &mut Course) {
    let told = course.streams.iter().position(is_told_again);
    let at = told.expect("the history has a stream that goes on");
    let again = Step::Heard { seq: 1, id: "msg_1".to_owned(), number: Some(1) };
    course.streams.insert(at, StreamStep { step: again, ..course.streams[at].clone() });
}

pub(super) fn loss_not_reported(course: &mut Course) {
    for read in course.final_state.lost_writes.values_mut() {
        *read = LostWritesRead::Reported { rows: Vec::new(), gaps: Vec::new() };
    }
}

pub(super) fn fault_spreads(course: &mut Course) {
    let other = course.operations.iter_mut().find(|op| op.user == 1 && op.sent > MOVED_AT);
    other.expect("the other cell is asked after the fault").outcome =
        Outcome::Unknown(Failure::Timeout);
}

pub(super) fn blind_and_silent(course: &mut Course) {
    for injection in &mut course.injections {
        injection.observer = "north".parse().ok();
    }
    course.final_state.doubts = Some(Doubts::default());
}

pub(super) fn alone_and_strong(course: &mut Course) {
    refuse_writes(course);
}

pub(super) fn left_waiting(course: &mut Course) {
    refuse_writes(course);
    let waiting = operation(course, 8);
    waiting.outcome = Outcome::Unknown(Failure::Timeout);
    (waiting.sent, waiting.ended) = (MOVED_AT * 3, MOVED_AT * 4);
}

pub(super) fn written_under_an_old_epoch(course: &mut Course) {
    for row in rows_of(course, 4) {
        if let Some(by) = &mut row.by {
            by.epoch = Epoch(1);
        }
    }
}

pub(super) fn epoch_used_twice(course: &mut Course) {
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
}

pub(super) fn copy_not_equal(course: &mut Course) {
    let copies = course.final_state.replicas.values_mut();
    for read in copies.filter(|read| !is_primary(read)).take(1) {
        if let ReplicaRead::Is(replica) = read {
            let tables = replica.tables.values_mut();
            tables.for_each(|table| "bad".clone_into(&mut table.checksum));
        }
    }
}

pub(super) fn panic_unseen(course: &mut Course) {
    let line = "c1@south.log: thread 'main' panicked at src/lib.rs:1:1: boom".to_owned();
    course.final_state.logs = Some(LogsRead::Read { grave: vec![line], gaps: Vec::new() });
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
