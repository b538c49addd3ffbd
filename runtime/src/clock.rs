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
