//! How often cells went on in another region, seen from outside, by whose answers users got.

use std::collections::BTreeSet;

use crate::course::Course;

/// Counts changes of region from one epoch to the next one that answered.
pub(super) fn moves(course: &Course) -> u64 {
    let answered = course.operations.iter().filter(|operation| operation.is_vouched_for());
    let served = answered.filter_map(|operation| operation.served.as_ref());
    let tenures: BTreeSet<_> =
        served.map(|served| (&served.cell, served.epoch, &served.region)).collect();
    let following = tenures.iter().zip(tenures.iter().skip(1));
    let moved = following.filter(|((cell, _, region), (next_cell, _, next_region))| {
        cell == next_cell && region != next_region
    });
    moved.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Operation;
    use crate::history::fixture::{served, ticket, users};

    #[test]
    fn an_epoch_in_place_is_no_move() {
        let by = |number, region, epoch| Operation {
            served: Some(served(region, epoch)),
            ..ticket(number, u64::from(number), u64::from(number) + 1)
        };
        let operations = vec![
            by(0, "east", 1),
            by(1, "east", 2),
            by(2, "south", 4),
            by(3, "south", 5),
            by(4, "east", 7),
        ];
        let course = Course { users: users(), operations, ..Course::default() };
        assert_eq!(moves(&course), 2);
    }
}
