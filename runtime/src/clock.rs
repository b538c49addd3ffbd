//! The clocks of the machine, read nowhere else.

use std::time::Duration;
use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

/// A moment on the boot-time clock: monotonic, shared by all processes of a machine, and counting
/// while the machine is suspended, so that a right cannot outlive a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BootTime(u64);

impl BootTime {
    /// Reads the clock.
    #[must_use]
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        Self(seconds * 1_000_000_000 + nanos)
    }

    #[must_use]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    #[must_use]
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns how long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Returns the wall time, for records that people read. No decision rests on it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the wall time in milliseconds since 1970.
#[must_use]
pub fn unix_millis() -> u64 {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns milliseconds since 1970 as people write a moment: `2026-11-22 22:21:25Z`.
#[must_use]
pub fn utc(unix_millis: u64) -> String {
    let seconds = unix_millis / 1000;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Years are counted from March of the year 0, so that a leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc() {
        for (millis, expected) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_827_696_999, "2000-02-29 12:34:56Z"),
            (1_795_386_085_000, "2026-11-22 22:21:25Z"),
            (4_102_444_799_000, "2099-12-31 23:59:59Z"),
        ] {
            assert_eq!(utc(millis), expected);
        }
    }
}
