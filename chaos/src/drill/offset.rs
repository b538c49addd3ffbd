//! By how much a clock is wrong: `+60m`, `-500ms`.

use std::fmt;
use std::time::Duration;

use super::yaml::duration;

/// Longer than any daylight saving, and short of a year that nobody tested.
const MAX: Duration = Duration::from_hours(24);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    is_ahead: bool,
    by: Duration,
}

impl Offset {
    /// Reads a sign and a duration.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_ahead, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('-')?),
        };
        let by = duration(rest).filter(|by| !by.is_zero() && *by <= MAX)?;
        Some(Self { is_ahead, by })
    }

    pub(crate) fn is_ahead(self) -> bool {
        self.is_ahead
    }

    /// Returns what a clock that is wrong by as much shows at a time, both in milliseconds since 1970.
    pub(crate) fn from(self, unix_millis: u64) -> u64 {
        let by = u64::try_from(self.by.as_millis()).unwrap_or(u64::MAX);
        if self.is_ahead { unix_millis.saturating_add(by) } else { unix_millis.saturating_sub(by) }
    }
}

impl fmt::Display for Offset {
    /// In seconds, as libfaketime reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_ahead { '+' } else { '-' };
        write!(f, "{sign}{}", self.by.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_a_sign_and_a_unit() {
        let told = |text: &str| Offset::parse(text).map(|offset| offset.to_string());
        assert_eq!(told("+60m").as_deref(), Some("+3600"));
        assert_eq!(told("-500ms").as_deref(), Some("-0.5"));
        for bad in ["60m", "+0s", "+90000s", "+1", "-", "+-1s"] {
            assert_eq!(told(bad), None, "{bad}");
        }
        assert_eq!(Offset::parse("-1s").unwrap().from(5_000), 4_000);
    }
}
