//! How lines are cut and mended, again and again.

use std::time::Duration;

use super::yaml::{Need, Reader, Section, duration};

/// Turns that are shorter than this no probe can see.
const SHORTEST: Duration = Duration::from_millis(1500);
/// Nobody waits longer for one fault to be done.
const LASTING_MAX: Duration = Duration::from_mins(10);

const EXPECTED: &str = "expected two durations from 1500ms on, the shorter first, such as [2s, 7s]";

/// Each time for the shortest at least and the longest at most, by the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flap {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
    /// In all.
    pub(crate) lasting: Duration,
}

impl Flap {
    pub(super) fn read(reader: &mut Reader, provider: &Section<'_>) -> Option<Self> {
        let keys = ["between", "lasting"];
        let item = reader.section(provider, "arguments", Need::Must, &keys)?;
        let lasting = reader.duration(&item, "lasting", Need::Must);
        if lasting.is_some_and(|lasting| lasting.is_zero() || lasting > LASTING_MAX) {
            reader.report(&item, "lasting", "expected more than nothing and at most 10m");
        }
        let bounds = reader.words(&item, "between", "a duration such as 2s", duration);
        let [shortest, longest] = bounds[..] else {
            reader.report(&item, "between", EXPECTED);
            return None;
        };
        if shortest < SHORTEST || shortest > longest {
            reader.report(&item, "between", EXPECTED);
        }
        Some(Self { shortest, longest, lasting: lasting? })
    }
}
