//! When an issuer's keys are read again.

use std::time::Duration;

use tokio::time::Instant;

/// How often a file is looked at: an operator who replaces a key looks at the clock meanwhile.
const FILE_PERIOD: Duration = Duration::from_secs(10);
/// How often a set of keys is fetched that nobody misses a key of. Issuers announce a key long
/// before they use it; this also bounds how long a withdrawn one counts.
const URL_PERIOD: Duration = Duration::from_mins(5);
/// Between two fetches, whoever sends whatever unknown key's name.
const MISSED_PAUSE: Duration = Duration::from_secs(10);
/// After a failure, doubled with each further one.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File,
    Url,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) place: Place,
    /// When the last one began.
    pub(crate) last: Instant,
    /// Failures since the last success.
    pub(crate) failures: u32,
    /// A token named a key that is not there.
    pub(crate) is_missed: bool,
}

/// Returns when the keys are read again.
pub(crate) fn due(reads: &Reads) -> Instant {
    let period = match reads.place {
        Place::File => FILE_PERIOD,
        Place::Url => URL_PERIOD,
    };
    let pause = match reads.failures {
        0 if reads.is_missed => MISSED_PAUSE.min(period),
        0 => period,
        // Whoever misses a key waits out the back-off, too: the issuer is in trouble already.
        failures => (BACK_OFF * (1 << (failures - 1).min(16))).min(BACK_OFF_MAX),
    };
    reads.last + pause
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_are_read_again_after_a_period_sooner_when_missed_and_later_after_failures() {
        let url = |failures, is_missed| pause(Place::Url, failures, is_missed);
        assert_eq!((url(0, false), url(0, true)), (300, 10));
        assert_eq!((url(1, false), url(2, true), url(3, false)), (1, 2, 4));
        assert_eq!((url(7, false), url(u32::MAX, false)), (60, 60));
        assert_eq!((pause(Place::File, 0, false), pause(Place::File, 0, true)), (10, 10));
    }

    fn pause(place: Place, failures: u32, is_missed: bool) -> u64 {
        let last = Instant::now();
        (due(&Reads { place, last, failures, is_missed }) - last).as_secs()
    }
}
