//! When people may change where cells are by plan: weekly windows, in UTC.

use std::fmt;

use super::Problem;
use super::reader::{Reader, Section};

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// 1970-01-01 was a Thursday.
const EPOCH_DAY: u32 = 3;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// More than anybody can keep in mind.
const WINDOWS_MAX: usize = 50;

/// The windows; without any, there is always one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeWindows(Vec<Window>);

/// Minutes since the beginning of Monday; what ends after the week goes on at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: u32,
    length: u32,
}

/// Outside of every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When the next one opens.
    pub opens_unix_ms: u64,
}

impl ChangeWindows {
    /// Returns whether no window is open at this moment.
    #[must_use]
    pub fn closed_at(&self, unix_ms: u64) -> Option<Closed> {
        let minute = unix_ms / 60_000;
        let of_week = u32::try_from((minute + u64::from(EPOCH_DAY * DAY)) % u64::from(WEEK));
        let of_week = of_week.expect("a week has fewer minutes");
        let since_opened = |window: &Window| (of_week + WEEK - window.from) % WEEK;
        if self.0.iter().any(|window| since_opened(window) < window.length) {
            return None;
        }
        let wait = self.0.iter().map(|window| WEEK - since_opened(window)).min()?;
        Some(Closed { opens_unix_ms: (minute + u64::from(wait)) * 60_000 })
    }
}

impl fmt::Display for ChangeWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minute: u32| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
        for (number, Window { from, length }) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            let day = DAYS[usize::try_from(from / DAY).unwrap_or(0) % DAYS.len()];
            write!(f, "{separator}{day} {}-{}", time(*from), time(from + length))?;
        }
        Ok(())
    }
}

impl Reader {
    /// May be left out; an empty list would leave no moment for anything.
    pub(super) fn change_windows(&mut self, root: &Section<'_>) -> ChangeWindows {
        const KEY: &str = "change-windows";
        if root.map.get_node(KEY).is_none() {
            return ChangeWindows::default();
        }
        let items = self.list(root, KEY, &["days", "from", "to"]);
        let windows: Vec<Window> =
            items.iter().flat_map(|item| self.change_window(item).unwrap_or_default()).collect();
        if items.is_empty() || windows.len() > WINDOWS_MAX {
            let found = format!("{} windows", windows.len());
            let expected = "1 to 50; without the key, changes are always allowed";
            self.report(root, KEY, Problem::OutOfRange(found, expected));
        }
        ChangeWindows(windows)
    }

    fn change_window(&mut self, item: &Section<'_>) -> Option<Vec<Window>> {
        const EXPECTED: &str = "days, as in [mon, fri]";
        let days = self.texts(item, "days", EXPECTED);
        let (from, to) = (self.time(item, "from", DAY - 1), self.time(item, "to", DAY));
        let days = days?.into_iter().map(|day| {
            let known = (0..).zip(DAYS).find(|(_, name)| *name == day);
            if known.is_none() {
                let problem = Problem::WrongType { expected: EXPECTED, found: format!("{day:?}") };
                self.report(item, "days", problem);
            }
            known.map(|(number, _)| number)
        });
        let days: Option<Vec<u32>> = days.collect::<Vec<_>>().into_iter().collect();
        let (from, to) = (from?, to?);
        if from == to {
            let expected = "a window from 00:00 to 24:00 is open all day";
            self.report(item, "to", Problem::OutOfRange("an empty window".to_owned(), expected));
        }
        // One that ends before it begins ends on the next day.
        let length = if to > from { to - from } else { to + DAY - from };
        Some(days?.into_iter().map(|day| Window { from: day * DAY + from, length }).collect())
    }

    /// Minutes of a day, as in `22:30`.
    fn time(&mut self, item: &Section<'_>, key: &'static str, last: u32) -> Option<u32> {
        let text = self.text(item, key)?.as_str();
        let minutes = text.split_once(':').and_then(|(hours, minutes)| {
            let is_two = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            let (hours, minutes) =
                (is_two(hours).then_some(hours)?, is_two(minutes).then_some(minutes)?);
            let minutes = minutes.parse::<u32>().ok().filter(|minutes| *minutes < 60)?;
            Some(hours.parse::<u32>().ok()? * 60 + minutes)
        });
        let minutes = minutes.filter(|minutes| *minutes <= last);
        if minutes.is_none() {
            let expected = "a time of day in UTC, as in 22:30";
            self.report(item, key, Problem::WrongType { expected, found: format!("{text:?}") });
        }
        minutes
    }
}

#[cfg(test)]
mod tests;
