use super::*;
use crate::history::fixture::{again, changed, message, refused, served, ticket, users};

/// A row of user 0.
fn noted(number: u32, lsn: u64, site: &str, epoch: u64) -> Noted {
    Noted {
        by: Some(By { lsn, epoch: Epoch(epoch), site: site.parse().unwrap() }),
        key: format!("r/{number}"),
        number: Some(number),
        slot: users()[0].slot.number(),
        payload: "0a".to_owned(),
    }
}

fn in_south(operation: Operation) -> Operation {
    Operation { served: Some(served("south", 3)), ..operation }
}

/// A ticket and a message in east, of which a second one is lost, and a ticket that is moved on in south.
fn whole() -> Course {
    let mut course = Course {
        users: users()[..1].to_vec(),
        operations: vec![
            ticket(0, 0, 5),
            message(1, 10, 15, 1),
            message(2, 20, 25, 2),
            refused(3, 30, 35),
            in_south(ticket(4, 40, 45)),
            in_south(changed(5, 50, 55, 2)),
        ],
        ..Course::default()
    };
    let kept = ConversationRead::Messages(vec![(1, 1)]);
    course.final_state.conversations.insert(0, kept);
    let rows = vec![
        noted(1, 20, "c1@east", 1),
        noted(0, 10, "c1@east", 1),
        noted(4, 30, "c1@south", 3),
        noted(5, 40, "c1@south", 3),
        Noted { number: None, key: "r/v1/tickets/u0".to_owned(), ..noted(9, 5, "c1@east", 1) },
    ];
    for site in ["c1@north", "c1@south"] {
        let rows = LedgerRead::Rows(rows.clone());
        course.final_state.ledger.insert(site.parse().unwrap(), rows);
    }
    course
}

/// Returns the rows that each database has.
fn rows(course: &mut Course) -> impl Iterator<Item = &mut Vec<Noted>> {
    course.final_state.ledger.values_mut().map(|read| match read {
        LedgerRead::Rows(rows) => rows,
        LedgerRead::Unread(why) => panic!("{why}"),
    })
}

/// Changes the row of an operation in every database.
fn row(number: u32, change: impl Fn(&mut Noted)) -> impl FnOnce(&mut Course) {
    move |course| {
        for rows in rows(course) {
            rows.iter_mut().filter(|row| row.number == Some(number)).for_each(&change);
        }
    }
}

#[track_caller]
fn broken(change: impl FnOnce(&mut Course), expected: &[&str]) {
    let mut course = whole();
    change(&mut course);
    let expected = expected.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(check(&course), Finding::Fail(expected));
}

#[test]
fn a_cell_that_moves_and_loses_a_message_breaks_nothing() {
    assert_eq!(check(&whole()), Finding::Pass);
}

#[test]
fn an_acknowledged_write_without_a_row_is_caught() {
    let south: SiteId = "c1@south".parse().unwrap();
    let forget = |number| {
        let south = south.clone();
        move |course: &mut Course| {
            let Some(LedgerRead::Rows(rows)) = course.final_state.ledger.get_mut(&south) else {
                panic!("it is read")
            };
            rows.retain(|row| row.number != Some(number));
        }
    };
    broken(forget(4), &["ticket 4 is acknowledged, and c1@south has no row of it"]);
    broken(forget(5), &["transition 5 is acknowledged, and c1@south has no row of it"]);
    broken(forget(1), &["message 1 is acknowledged, and c1@south has no row of it"]);
}

#[test]
fn a_row_of_what_is_lost_or_was_refused_is_caught() {
    let add = |number| {
        move |course: &mut Course| {
            for rows in rows(course) {
                rows.push(noted(number, 25, "c1@east", 1));
            }
        }
    };
    let of =
        |what: &str| ["c1@north", "c1@south"].map(|at| format!("{what}, and {at} has a row of it"));
    let lost = of("message 2 is lost");
    broken(add(2), &lost.each_ref().map(String::as_str));
    let refused = of("ticket 3 was refused");
    broken(add(3), &refused.each_ref().map(String::as_str));
}

#[test]
fn a_row_under_another_epoch_than_its_answer_is_caught() {
    broken(
        row(5, |row| row.by.as_mut().unwrap().epoch = Epoch(4)),
        &[
            "transition 5 was answered by c1@south under epoch 3, and is noted of c1@south under epoch 4",
        ],
    );
}

#[test]
fn a_row_of_another_site_or_cell_than_its_answer_is_caught() {
    let noted_of = |site: &'static str| {
        row(1, move |row| row.by.as_mut().unwrap().site = site.parse().unwrap())
    };
    let told =
        "message 1 was answered by c1@east under epoch 1, and is noted of c2@east under epoch 1";
    broken(noted_of("c2@east"), &[told]);
    let twice = "c1@east and c1@north both wrote in c1 under epoch 1";
    let told =
        "message 1 was answered by c1@east under epoch 1, and is noted of c1@north under epoch 1";
    broken(noted_of("c1@north"), &[twice, told]);
}

#[test]
fn whoever_asks_again_may_be_answered_under_a_later_epoch_and_nobody_else() {
    let told =
        "ticket 0 was answered by c1@south under epoch 3, and is noted of c1@east under epoch 1";
    broken(|course| course.operations[0] = in_south(ticket(0, 0, 50)), &[told]);
    let mut course = whole();
    let mut asked_again = in_south(again(40, ticket(0, 0, 50)));
    asked_again.served.as_mut().unwrap().replayed = true;
    course.operations[0] = asked_again;
    assert_eq!(check(&course), Finding::Pass);
}

#[test]
fn a_row_in_anothers_slot_is_caught() {
    let slot = users()[0].slot.number();
    let told = format!("ticket 4 is of slot {slot}, and is noted in {}", slot + 1);
    broken(row(4, |row| row.slot += 1), &[&told]);
}

#[test]
fn a_write_after_one_of_a_later_epoch_is_caught() {
    broken(
        row(1, |row| row.by.as_mut().unwrap().lsn = 35),
        &[
            "in the log of c1 r/1 of c1@east under epoch 1 at 0/23 comes after r/4 of c1@south under epoch 3 \
           at 0/1E",
        ],
    );
}

#[test]
fn what_began_before_an_epoch_in_place_may_be_committed_under_it_and_is_not_acknowledged() {
    let in_place = |course: &mut Course| {
        for rows in rows(course) {
            rows.push(noted(7, 50, "c1@south", 4));
            rows.push(noted(8, 60, "c1@south", 3));
        }
    };
    let mut course = whole();
    in_place(&mut course);
    assert_eq!(check(&course), Finding::Pass);
    broken(
        |course| {
            in_place(course);
            course.operations.push(in_south(ticket(8, 60, 65)));
        },
        &[
            "in the log of c1 r/8 of c1@south under epoch 3 at 0/3C comes after r/7 of c1@south under epoch 4 \
           at 0/32",
        ],
    );
}

#[test]
fn two_writers_of_an_epoch_are_caught() {
    broken(
        |course| {
            for rows in rows(course) {
                rows.push(noted(7, 50, "c1@north", 3));
            }
        },
        &["c1@north and c1@south both wrote in c1 under epoch 3"],
    );
}

#[test]
fn a_ledger_that_is_not_there_or_does_not_say_proves_nothing() {
    let unknown = |course: &Course, told: &[&str]| {
        let told = told.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(check(course), Finding::Unknown(told));
    };
    let mut nobody = whole();
    nobody.final_state.ledger.clear();
    unknown(&nobody, &["no ledger of c1 was read"]);
    let mut away = whole();
    let why = LedgerRead::Unread("it is away".to_owned());
    away.final_state.ledger.insert("c1@south".parse().unwrap(), why);
    unknown(&away, &["ledger of c1@south: it is away"]);
    let mut unserved = whole();
    unserved.operations[0].served = None;
    unknown(&unserved, &["the answer to ticket 0 does not say whose it is"]);
    let mut old = whole();
    row(0, |row| row.by = None)(&mut old);
    let of = |site: &str| format!("1 rows of {site} do not say who wrote, the first is r/0");
    unknown(&old, &[&of("c1@north"), &of("c1@south")]);
}
