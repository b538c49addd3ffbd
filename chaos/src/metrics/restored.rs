//! What backups gave when cells were restored from them.

use std::time::Duration;

use super::{Measure, Measured, Value};
use crate::fault::Injection;

/// Returns the worst of all that were restored; nothing where none was.
pub(super) fn measures(injections: &[Injection]) -> Vec<(Measure, Measured)> {
    let restored = || injections.iter().filter_map(|injection| injection.restored.as_ref());
    let Some(took) = restored().map(|restored| restored.took).max() else { return Vec::new() };
    let differing = restored().map(|restored| restored.differing).sum();
    // One whose archive nobody knows anything of may be behind by any time.
    let behind: Option<Vec<Duration>> = restored().map(|restored| restored.behind).collect();
    let behind = behind.and_then(|behind| behind.into_iter().max());
    vec![
        (Measure::RestoredIn, Measured::Got(Value::Time(took))),
        (Measure::TablesDiffering, Measured::Got(Value::Count(differing))),
        (
            Measure::ArchiveBehind,
            behind.map_or(Measured::Unseen, |behind| Measured::Got(Value::Time(behind))),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Restored;

    fn restored(took: u64, differing: u64, behind: Option<u64>) -> Injection {
        let (took, behind) = (Duration::from_secs(took), behind.map(Duration::from_secs));
        Injection { restored: Some(Restored { differing, took, behind }), ..Injection::default() }
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
}
