//! A moment as a person writes it and as PostgreSQL reads it.

use std::fmt;

/// Microseconds since 1970, as fine as PostgreSQL counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60;

impl Moment {
    #[must_use]
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(i64::try_from(millis).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
    }

    /// Returns whole milliseconds since 1970, if it is not before.
    #[must_use]
    pub fn unix_millis(self) -> Option<u64> {
        u64::try_from(self.0.div_euclid(1000)).ok()
    }

    /// Reads `2026-11-22 14:05:07.25+08:00`. The zone must be there: a restore to the wrong hour
    /// looks like a right one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.trim().split_once(['T', ' '])?;
        let (year, month, day) = three(date, '-')?;
        let zone_at = rest.find(['Z', 'z', '+', '-'])?;
        let (time, zone) = rest.split_at(zone_at);
        let (clock, fraction) = time.trim_end().split_once('.').unwrap_or((time.trim_end(), ""));
        let (hour, minute, second) = three(clock, ':')?;
        let micros = micros(fraction)?;
        let offset = offset(zone)?;
        let exists = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
        exists.then_some(Self(seconds * SECOND + micros))
    }
}

/// As PostgreSQL and pgBackRest read it, in UTC.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}+00")
    }
}

fn three(text: &str, separator: char) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(separator).map(number);
    let three = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(three)
}

fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn micros(fraction: &str) -> Option<i64> {
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<6}").parse().ok()
}

/// Reads `Z`, `+08`, `+0800` or `-03:30`, in seconds.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970. Years are counted from March, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_its_zone_and_written_in_utc() {
        for (text, expected) in [
            ("2026-11-22 22:21:25Z", "2026-11-22 22:21:25.000000+00"),
            ("2026-11-22T22:21:25.5+08:00", "2026-11-22 14:21:25.500000+00"),
            ("2026-12-31 23:30:00.000001 -03:30", "2027-01-01 03:00:00.000001+00"),
            ("2028-02-29 00:00:00+0100", "2028-02-28 23:00:00.000000+00"),
            ("1970-01-01 00:00:00+00", "1970-01-01 00:00:00.000000+00"),
            ("2000-03-01 00:00:00Z", "2000-03-01 00:00:00.000000+00"),
        ] {
            let moment = Moment::parse(text).unwrap();
            assert_eq!(moment.to_string(), expected, "{text}");
            assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
        }
        assert_eq!(Moment::parse("2026-11-22 22:21:25Z"), Some(Moment(1_795_386_085_000_000)));
    }

    #[test]
    fn what_is_no_moment_or_has_no_zone_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-11-22",
            "2026-11-22 22:21:25",
            "2026-11-22 22:21Z",
            "2026-02-29 00:00:00Z",
            "2026-13-01 00:00:00Z",
            "2026-11-22 24:00:00Z",
            "2026-11-22 22:21:25+99",
            "2026-11-22 22:21:25.1234567Z",
            "2026-11-22 22:21:2xZ",
            "-2026-11-22 22:21:25Z",
        ] {
            assert_eq!(Moment::parse(text), None, "{text:?}");
        }
    }
}
