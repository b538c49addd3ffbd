//! Cells the fault was not aimed at do not notice it (I8).

use super::Finding;
use crate::course::Course;
use crate::history::Outcome;

/// Their latency against their own baseline is reported, not judged: on a machine that everything
/// shares it says more about the machine.
pub(super) fn check(course: &Course) -> Finding {
    let Some(begun) = course.begun() else {
        return Finding::Unknown(vec!["nothing was injected".to_owned()]);
    };
    let affected = course.affected();
    let others = course
        .operations
        .iter()
        .filter(|op| op.ended >= begun && !affected.contains(course.cell_of(op)));
    let mut asked = 0;
    let mut broken = Vec::new();
    for operation in others {
        asked += 1;
        let failure = match &operation.outcome {
            Outcome::Ok(_) => continue,
            Outcome::Fail(failure) | Outcome::Unknown(failure) => failure,
        };
        broken.push(format!(
            "{} {} of cell {} failed {:.2} s after the fault: {failure}",
            operation.kind.name(),
            operation.number,
            course.cell_of(operation),
            operation.ended.saturating_sub(begun).as_secs_f64(),
        ));
    }
    let everywhere = course.users.iter().all(|user| affected.contains(&user.cell));
    let missing = if asked == 0 && !everywhere {
        vec!["no other cell was asked anything".to_owned()]
    } else {
        Vec::new()
    };
    Finding::from_evidence(broken, missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Injection;
    use crate::history::Operation;
    use crate::history::fixture::{ms, refused, ticket, users};

    fn course(operations: Vec<Operation>) -> Course {
        let injection = Injection {
            begun: ms(100),
            cells: [("c1".parse().unwrap(), None)].into(),
            ..Injection::default()
        };
        Course { users: users(), operations, injections: vec![injection], ..Course::default() }
    }

    #[test]
    fn the_cell_that_was_hit_may_fail() {
        let other = Operation { user: 1, ..ticket(1, 200, 205) };
        assert_eq!(check(&course(vec![refused(0, 200, 201), other])), Finding::Pass);
    }

    #[test]
    fn a_failed_request_of_another_cell_is_caught() {
        let other = Operation { user: 1, ..refused(1, 200, 201) };
        assert_eq!(
            check(&course(vec![other])),
            Finding::Fail(vec![
                "ticket 1 of cell c2 failed 0.10 s after the fault: refused".to_owned()
            ])
        );
    }

    #[test]
    fn other_cells_that_were_not_asked_prove_nothing() {
        assert!(matches!(check(&course(vec![ticket(0, 200, 205)])), Finding::Unknown(_)));
    }
}
