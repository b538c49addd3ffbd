//! Whether archiving fails, and whether a base backup is due. Pure: what was seen comes in.

use std::time::Duration;

use topology::spec::Backup;

/// WAL that waits longer than this many times its period is not on its way: something hangs.
const PERIODS_MAX: u32 = 3;
/// But no sooner than this: a busy machine takes its time.
const HANG_MIN: Duration = Duration::from_mins(2);
/// A base backup that is this many times older than it should be is missing.
const AGES_MAX: u64 = 2;

/// What the server says of its archiving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// How long ago the last try failed, if none has succeeded since.
    pub(super) failed: Option<Duration>,
    /// How many files wait, and how long the oldest has.
    pub(super) waiting: usize,
    pub(super) waited: Duration,
    /// How long the site has served: what happened before is another site's affair.
    pub(super) served: Duration,
}

/// Says what is wrong with archiving; `None` if nothing is.
#[must_use]
pub(super) fn failing(seen: Seen, policy: &Backup) -> Option<String> {
    let hang = (policy.archive_every * PERIODS_MAX).max(HANG_MIN);
    let (waiting, waited) = (seen.waiting, seen.waited.as_secs());
    let waits = format!("{waiting} pieces of WAL wait, the oldest for {waited} s");
    if let Some(failed) = seen.failed.filter(|failed| *failed <= seen.served) {
        let ago = failed.as_secs();
        Some(format!("the archive took nothing when last tried, {ago} s ago; {waits}"))
    } else if seen.waiting > 0 && seen.waited.min(seen.served) > hang {
        Some(format!("the archive takes nothing; {waits}"))
    } else {
        None
    }
}

/// Returns whether a base backup should be made now, if one could be. `age` is that of the newest.
#[must_use]
pub(super) fn is_due(age: Option<Duration>, broken: bool, policy: &Backup) -> bool {
    broken || age.is_none_or(|age| age >= policy.base_every)
}

/// Says that there is no base backup to speak of; `None` if there is one.
#[must_use]
pub(super) fn missing(
    age: Option<Duration>,
    failed: Option<&str>,
    policy: &Backup,
) -> Option<String> {
    let why = failed.map(|failed| format!(": {failed}")).unwrap_or_default();
    match age {
        // The first is on its way until it has failed.
        None => failed.map(|_| format!("no base backup could be made yet{why}")),
        Some(age) if age.as_secs() > policy.base_every.as_secs().saturating_mul(AGES_MAX) => {
            Some(format!("the newest base backup is {} h old{why}", age.as_secs() / 3600))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn quiet() -> Seen {
        Seen { failed: None, waiting: 0, waited: Duration::ZERO, served: HOUR }
    }

    #[test]
    fn a_failure_counts_until_something_is_taken_again() {
        let policy = Backup::default();
        assert_eq!(failing(quiet(), &policy), None);
        let failed = Some(Duration::from_secs(7));
        let seen = Seen { failed, waiting: 3, waited: Duration::from_secs(9), ..quiet() };
        assert_eq!(
            failing(seen, &policy).as_deref(),
            Some(
                "the archive took nothing when last tried, 7 s ago; \
                 3 pieces of WAL wait, the oldest for 9 s"
            )
        );
    }

    #[test]
    fn a_failure_before_the_site_served_says_nothing_about_now() {
        let seen = Seen { failed: Some(HOUR * 2), ..quiet() };
        assert_eq!(failing(seen, &Backup::default()), None);
    }

    #[test]
    fn an_archive_that_hangs_fails_too_but_only_after_a_while() {
        let policy = Backup::default();
        let waits = |seconds, served| Seen {
            waiting: 1,
            waited: Duration::from_secs(seconds),
            served,
            ..quiet()
        };
        assert_eq!(failing(waits(170, HOUR), &policy), None);
        assert!(failing(waits(190, HOUR), &policy).is_some());
        assert_eq!(failing(waits(190, Duration::from_secs(10)), &policy), None);
    }

    #[test]
    fn a_backup_is_due_when_there_is_none_or_it_is_old_or_cannot_lead_here() {
        let policy = Backup::default();
        assert!(is_due(None, false, &policy));
        assert!(!is_due(Some(HOUR * 23), false, &policy));
        assert!(is_due(Some(HOUR * 24), false, &policy));
        assert!(is_due(Some(HOUR), true, &policy));
    }

    #[test]
    fn the_first_backup_is_missed_once_it_failed_and_a_later_one_when_it_is_much_too_old() {
        let policy = Backup::default();
        assert_eq!(missing(None, None, &policy), None);
        assert_eq!(
            missing(None, Some("disk full"), &policy).as_deref(),
            Some("no base backup could be made yet: disk full")
        );
        assert_eq!(missing(Some(HOUR * 40), Some("disk full"), &policy), None);
        assert_eq!(
            missing(Some(HOUR * 49), None, &policy).as_deref(),
            Some("the newest base backup is 49 h old")
        );
    }
}
