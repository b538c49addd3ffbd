//! The control plane that was cut off wrote down that it decided nothing of what looked bad from there, and
//! once everything is healed nobody is doubted any more.

use topology::RegionId;

use super::Finding;
use crate::course::Course;

pub(super) fn check(course: &Course) -> Finding {
    let observers = course.injections.iter().filter_map(|injection| injection.observer.as_ref());
    let observers: Vec<&RegionId> = observers.collect();
    if observers.is_empty() {
        return Finding::Pass;
    }
    let Some(doubts) = &course.final_state.doubts else {
        let why = "not measured: nobody said whom the control planes doubt";
        return Finding::Unknown(vec![why.to_owned()]);
    };
    let unwritten = observers
        .into_iter()
        .filter(|region| !doubts.undecided.contains_key(*region))
        .map(|region| format!("control-plane@{region} wrote nothing down of what it saw badly"));
    let blind = doubts.blind.iter();
    let blind = blind.map(|region| format!("control-plane@{region} is not believed, all healed"));
    Finding::from_evidence(unwritten.chain(blind).collect(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::{Doubts, FinalState};
    use crate::fault::Injection;

    #[test]
    fn who_was_cut_off_says_so_and_is_believed_afterwards() {
        check("undecided north", &Finding::Pass);
        check("undecided north, undecided south", &Finding::Pass);
        let unwritten = "control-plane@north wrote nothing down of what it saw badly";
        check("undecided south", &Finding::Fail(vec![unwritten.to_owned()]));
        let blind = "control-plane@north is not believed, all healed";
        check("undecided north, blind north", &Finding::Fail(vec![blind.to_owned()]));
    }

    #[track_caller]
    fn check(said: &str, expected: &Finding) {
        let mut doubts = Doubts::default();
        for (word, region) in said.split(", ").filter_map(|said| said.split_once(' ')) {
            let region: RegionId = region.parse().unwrap();
            if word == "blind" {
                doubts.blind.insert(region);
            } else {
                doubts.undecided.insert(region, ["c1".parse().unwrap()].into());
            }
        }
        let observer = Some("north".parse().unwrap());
        let course = Course {
            injections: vec![Injection { observer, ..Injection::default() }],
            final_state: FinalState { doubts: Some(doubts), ..FinalState::default() },
            ..Course::default()
        };
        assert_eq!(super::check(&course), *expected);
    }
}
