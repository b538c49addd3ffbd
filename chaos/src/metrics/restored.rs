//! What backups gave when cells were restored from them.

use std::time::Duration;

use super::{Measure, Measured, Value};
use crate::fault::{Compared, Injection, Restored};

/// Returns the worst of all that were restored; nothing where none was to be.
pub(super) fn measures(injections: &[Injection]) -> Vec<(Measure, Measured)> {
    let restored: Vec<_> = injections.iter().filter_map(|injection| injection.restored).collect();
    if restored.is_empty() {
        return Vec::new();
    }
    let compared = restored.iter().map(|restored| match restored {
        Restored::Compared(compared) => Some(*compared),
        Restored::Failed => None,
    });
    let Some(compared) = compared.collect::<Option<Vec<Compared>>>() else {
        return vec![
            (Measure::RestoredIn, Measured::Never),
            (Measure::TablesDiffering, Measured::Unseen),
            (Measure::ArchiveBehind, Measured::Unseen),
        ];
    };
    let took = compared.iter().map(|compared| compared.took).max();
    let differing = compared.iter().map(|compared| compared.differing).sum();
    // One whose archive nobody knows anything of may be behind by any time.
    let behind: Option<Vec<Duration>> = compared.iter().map(|compared| compared.behind).collect();
    let behind = behind.and_then(|behind| behind.into_iter().max());
    let time = |time: Option<Duration>| {
        time.map_or(Measured::Unseen, |time| Measured::Got(Value::Time(time)))
    };
    vec![
        (Measure::RestoredIn, time(took)),
        (Measure::TablesDiffering, Measured::Got(Value::Count(differing))),
        (Measure::ArchiveBehind, time(behind)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(took: u64, differing: u64, behind: Option<u64>) -> Injection {
        let (took, behind) = (Duration::from_secs(took), behind.map(Duration::from_secs));
        let restored = Some(Restored::Compared(Compared { differing, took, behind }));
        Injection { restored, ..Injection::default() }
    }

    fn got(seconds: u64) -> Measured {
        Measured::Got(Value::Time(Duration::from_secs(seconds)))
    }

    #[test]
    fn the_worst_of_several_counts_and_none_is_nothing_measured() {
        assert_eq!(measures(&[Injection::default()]), []);
        let several = [restored(9, 0, Some(30)), Injection::default(), restored(5, 2, Some(60))];
        assert_eq!(
            measures(&several),
            [
                (Measure::RestoredIn, got(9)),
                (Measure::TablesDiffering, Measured::Got(Value::Count(2))),
                (Measure::ArchiveBehind, got(60)),
            ]
        );
    }

    #[test]
    fn an_archive_nobody_knows_anything_of_is_not_taken_for_up_to_date() {
        let measured = measures(&[restored(9, 0, Some(30)), restored(5, 0, None)]);
        assert_eq!(measured[2], (Measure::ArchiveBehind, Measured::Unseen));
    }

    #[test]
    fn one_that_cannot_be_restored_never_is_whatever_others_took() {
        let failed = Injection { restored: Some(Restored::Failed), ..Injection::default() };
        let measured = measures(&[restored(9, 0, Some(30)), failed]);
        assert_eq!(measured[0], (Measure::RestoredIn, Measured::Never));
        assert_eq!(measured[1], (Measure::TablesDiffering, Measured::Unseen));
    }
}
