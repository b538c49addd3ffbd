//! Who answered a cell's users, when and under which epoch: seen from outside, by the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::Tenure;
use crate::course::Course;

pub(super) fn tenures(course: &Course) -> Vec<Tenure> {
    let mut seen: BTreeMap<(String, u64, String), (Duration, Duration)> = BTreeMap::new();
    for operation in course.operations.iter().filter(|operation| operation.is_vouched_for()) {
        let Some(served) = &operation.served else { continue };
        let key = (served.cell.to_string(), served.epoch.0, served.region.to_string());
        let (from, until) = seen.entry(key).or_insert((operation.ended, operation.ended));
        *from = operation.ended.min(*from);
        *until = operation.ended.max(*until);
    }
    let tenures = seen.into_iter().map(|((cell, epoch, region), (from, until))| Tenure {
        cell,
        region,
        epoch,
        from: from.as_secs_f64(),
        until: until.as_secs_f64(),
    });
    tenures.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Operation;
    use crate::history::fixture::{refused, served, ticket, users};

    #[test]
    fn each_site_that_answered_has_its_time_under_its_epoch() {
        let later = Operation { served: Some(served("south", 2)), ..ticket(3, 3000, 3500) };
        let operations =
            vec![ticket(0, 0, 500), ticket(1, 900, 1000), refused(2, 2000, 2001), later];
        let course = Course { users: users(), operations, ..Course::default() };
        let told: Vec<(String, u64, f64, f64)> = tenures(&course)
            .into_iter()
            .map(|tenure| (tenure.region, tenure.epoch, tenure.from, tenure.until))
            .collect();
        assert_eq!(told, [("east".to_owned(), 1, 0.5, 1.0), ("south".to_owned(), 2, 3.5, 3.5)]);
    }
}
