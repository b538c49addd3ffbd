//! While writes are to be refused, no strong write is acknowledged: too few are left who would keep it (I5).

use super::Finding;
use crate::course::Course;
use crate::history::{Effect, Operation, Outcome};
use crate::refusals::Refusals;

/// Weak writes are left out: a cell at risk takes them. One that was overtaken has written nothing.
pub(super) fn check(course: &Course) -> Finding {
    let refusals = Refusals::of(course);
    let asked = course.operations.iter().chain(&course.direct);
    let forbidden = asked.filter(|operation| {
        wrote(operation) && operation.kind.is_strong_write() && refusals.cover(course, operation)
    });
    let broken = forbidden.map(|operation| {
        let by = operation.served.as_ref().map_or_else(String::new, |served| {
            format!(" by {}@{} under epoch {}", served.cell, served.region, served.epoch)
        });
        format!(
            "{} {} was acknowledged{by} at {:.3} s, while writes were to be refused",
            operation.kind.name(),
            operation.number,
            operation.ended.as_secs_f64(),
        )
    });
    Finding::from_evidence(broken.collect(), Vec::new())
}

fn wrote(operation: &Operation) -> bool {
    match operation.outcome {
        Outcome::Ok(Effect::Overtaken { .. }) | Outcome::Fail(_) | Outcome::Unknown(_) => false,
        Outcome::Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{again, changed, message, ms, ticket};
    use crate::refusals::fixture::{course, refusal};

    #[test]
    fn a_ticket_or_a_transition_that_is_taken_meanwhile_is_caught() {
        let told = "ticket 1 was acknowledged by c1@east under epoch 1 at 2.005 s, while writes \
                    were to be refused";
        let broken = Finding::Fail(vec![told.to_owned()]);
        assert_eq!(check(&course(vec![refusal(0, 1500, 1600), ticket(1, 2000, 2005)])), broken);
        assert!(matches!(check(&course(vec![changed(1, 2000, 2005, 2)])), Finding::Fail(_)));
        let late = again(2000, ticket(1, 500, 2005));
        assert!(matches!(check(&course(vec![late])), Finding::Fail(_)));
        let mut past_the_routers = course(Vec::new());
        past_the_routers.direct = vec![ticket(u32::MAX, 2000, 2005)];
        assert!(matches!(check(&past_the_routers), Finding::Fail(_)));
    }

    #[test]
    fn what_was_asked_before_or_after_or_is_weak_or_of_another_cell_may_be_taken() {
        let others = Operation { user: 1, ..ticket(4, 2000, 2005) };
        let overtaken = Outcome::Ok(Effect::Overtaken { version: 3 });
        let overtaken = Operation { outcome: overtaken, ..changed(5, 2000, 2005, 2) };
        let operations = vec![
            ticket(1, 900, 1100),
            ticket(2, 30_000, 30_005),
            message(3, 2000, 2005, 1),
            others,
            overtaken,
        ];
        assert_eq!(check(&course(operations)), Finding::Pass);
    }

    #[test]
    fn a_ticket_that_was_due_earlier_and_taken_once_all_was_healed_is_no_breach() {
        let held = again(30_100, ticket(1, 29_000, 30_200));
        assert_eq!(check(&course(vec![held.clone()])), Finding::Pass);
        assert_eq!(held.asked(), ms(30_100));
        // A router has held it meanwhile.
        assert_eq!(check(&course(vec![ticket(1, 25_000, 30_200)])), Finding::Pass);
    }
}
