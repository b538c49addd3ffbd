//! When something is due, and when nothing may begin: patterns of cron, in UTC.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};

/// A pattern with five fields: minute, hour, day, month, day of the week.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    text: String,
    cron: croner::Cron,
}

impl Cron {
    const FIELDS: usize = 5;

    /// Reads a pattern, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // With six, the first would be seconds.
        if text.split_whitespace().count() != Self::FIELDS {
            return Err("five fields: minute, hour, day, month, day of the week".to_owned());
        }
        let cron = text.parse::<croner::Cron>().map_err(|err| err.to_string())?;
        Ok(Self { text: text.to_owned(), cron })
    }

    /// Returns the first moment after this one.
    pub(crate) fn after(&self, unix_ms: u64) -> Option<u64> {
        millis(self.cron.find_next_occurrence(&utc(unix_ms)?, false).ok()?)
    }

    /// Returns the last moment until this one, itself included.
    pub(crate) fn until(&self, unix_ms: u64) -> Option<u64> {
        millis(self.cron.find_previous_occurrence(&utc(unix_ms)?, true).ok()?)
    }

    /// Returns the longest time between two moments, as far as the first ones show it; `None` where there are no two.
    pub(crate) fn longest_ms(&self) -> Option<u64> {
        // Ten years of a monthly pattern, six weeks of an hourly one.
        const MOMENTS: usize = 120;
        let moments = std::iter::successors(self.after(0), |last| self.after(*last));
        let moments: Vec<u64> = moments.take(MOMENTS).collect();
        moments.windows(2).map(|two| two[1] - two[0]).max()
    }

    fn has(&self, unix_ms: u64) -> bool {
        // A pattern's moments are whole minutes, and stand for all of them.
        let minute = utc(unix_ms - unix_ms % 60_000);
        minute.is_some_and(|minute| self.cron.is_time_matching(&minute).unwrap_or(false))
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn utc(unix_ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(unix_ms.try_into().ok()?)
}

fn millis(moment: DateTime<Utc>) -> Option<u64> {
    moment.timestamp_millis().try_into().ok()
}

/// When drills may begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calendar {
    /// Within one of them; without any, always.
    pub(super) windows: Vec<Cron>,
    /// Never within one of them.
    pub(super) blocked: Vec<Cron>,
    pub(super) dates: BTreeSet<NaiveDate>,
}

impl Calendar {
    /// Returns why no drill may begin at a moment; `None` if one may.
    pub(crate) fn closed_at(&self, unix_ms: u64) -> Option<String> {
        let date = utc(unix_ms).map(|moment| moment.date_naive());
        if let Some(date) = date.filter(|date| self.dates.contains(date)) {
            return Some(format!("{date} is a blocked date"));
        }
        if let Some(blocked) = self.blocked.iter().find(|blocked| blocked.has(unix_ms)) {
            return Some(format!("\"{blocked}\" is blocked"));
        }
        let open = self.windows.is_empty() || self.windows.iter().any(|cron| cron.has(unix_ms));
        (!open).then(|| "no window is open".to_owned())
    }
}

/// Reads a date as in 2026-12-24.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}
