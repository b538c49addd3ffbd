//! How values are written for people.

use std::time::Duration;

use askama::Template;
use runtime::clock;
use tokio::time::Instant;
use topology::SLOTS;

use super::texts::Texts;
use crate::api::view;

/// A moment: for people in UTC, for programs exactly, and for the script, which adds how long ago.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ exact }}" data-ms="{{ millis }}">{{ shown }}</time>"#
)]
pub(super) struct Moment {
    pub(super) millis: u64,
    exact: String,
    shown: String,
}

impl Moment {
    #[must_use]
    pub(super) fn at(millis: u64) -> Self {
        let utc = clock::utc(millis);
        let exact = utc.replace(' ', "T");
        let today = clock::utc(clock::unix_millis());
        // The day is left out where it is today's.
        let shown = match (utc.split_once(' '), today.split_once(' ')) {
            (Some((day, time)), Some((now, _))) if day == now => time.to_owned(),
            (Some(_) | None, _) => utc,
        };
        Self { millis, exact, shown: shown.trim_end_matches('Z').to_owned() }
    }

    #[must_use]
    pub(super) fn of(since: Instant, now: Instant) -> Self {
        Self::at(view::unix_millis(since, now))
    }
}

/// A state: a sign and a word, so that its colour is never all there is.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<span class="mark {{ tone.class() }}"><span class="sign" aria-hidden="true">{{ sign }}</span> {{ word }}</span>"#
)]
pub(super) struct Mark {
    pub(super) tone: Tone,
    pub(super) sign: &'static str,
    pub(super) word: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Bad,
    Warn,
    Busy,
    Good,
    Calm,
}

impl Tone {
    #[must_use]
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Busy => "busy",
            Self::Good => "good",
            Self::Calm => "calm",
        }
    }

    /// Returns what a screen reader says where only a sign is shown.
    #[must_use]
    pub(super) fn word(self, t: &Texts) -> &'static str {
        match self {
            Self::Bad => t.bad,
            Self::Warn => t.warning,
            Self::Busy | Self::Good | Self::Calm => t.notice,
        }
    }

    #[must_use]
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Bad => "✕",
            Self::Warn => "▲",
            Self::Busy => "◐",
            Self::Good => "●",
            Self::Calm => "○",
        }
    }
}

impl Mark {
    #[must_use]
    pub(super) fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self { tone, sign: tone.sign(), word: word.into() }
    }
}

/// Writes a size with at most three digits before its unit.
#[must_use]
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut scaled, mut unit) = (count * 10 / 1024, 0);
    while scaled >= 10_240 && unit + 1 < UNITS.len() {
        scaled /= 1024;
        unit += 1;
    }
    let unit = UNITS[unit];
    if scaled < 1000 {
        format!("{}.{} {unit}", scaled / 10, scaled % 10)
    } else {
        format!("{} {unit}", scaled / 10)
    }
}

/// Writes how long something took or has been.
#[must_use]
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Writes a cell's share of all users in per cent, with one digit.
#[must_use]
pub(super) fn percent(slots: usize) -> String {
    let tenths = (slots * 1000 + SLOTS / 2) / SLOTS;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Writes a number so that its thousands can be told.
#[must_use]
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_shares_are_short() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (200 * 1024, "200 KiB"),
            (16 << 20, "16.0 MiB"),
            (1 << 40, "1.0 TiB"),
            (5 << 50, "5120 TiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
        for (millis, expected) in [
            (20, "20 ms"),
            (1900, "1 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
        assert_eq!((percent(16_384), percent(5461)), ("100.0".to_owned(), "33.3".to_owned()));
        assert_eq!(
            (grouped(16_384), grouped(1_234_567)),
            ("16,384".to_owned(), "1,234,567".to_owned())
        );
    }
}
