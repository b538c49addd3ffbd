//! `chaos selftest`: a green check proves nothing until it has been red. Each defect a platform like
//! this could have is put into the history of a run without any, and the check that is meant for
//! it has to say so; on the history without defects every check has to pass.

mod defects;
mod healthy;
mod put_in;

use self::defects::{DEFECTS, Defect};
use self::healthy::healthy;
use crate::check::{Check, Finding};

/// What became of a defect.
pub(crate) struct Caught {
    pub(crate) defect: Defect,
    /// Every check that failed.
    pub(crate) by: Vec<Check>,
}

/// Returns the checks that do not let the history without defects pass, for whatever reason: none.
pub(crate) fn false_alarms() -> Vec<Check> {
    let course = healthy();
    checks(|check| check.run(&course) != Finding::Pass)
}

pub(crate) fn run() -> Vec<Caught> {
    let caught = DEFECTS.into_iter().map(|defect| {
        let mut course = healthy();
        (defect.put_in)(&mut course);
        // Whoever cannot tell for lack of evidence has caught nothing.
        let by = checks(|check| matches!(check.run(&course), Finding::Fail(_)));
        Caught { defect, by }
    });
    caught.collect()
}

fn checks(which: impl Fn(Check) -> bool) -> Vec<Check> {
    Check::ALL.into_iter().filter(|check| which(*check)).collect()
}

impl Caught {
    pub(crate) fn is_right(&self) -> bool {
        self.by.contains(&self.defect.meant)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::healthy::LOST;
    use super::*;
    use crate::course::{ConversationRead, LostRow, LostWritesRead};
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
