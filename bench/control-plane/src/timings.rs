//! How long something took, many times over.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use tokio::time::Instant;

/// Sorted, never empty.
#[derive(Clone, Debug)]
pub(crate) struct Timings(Vec<Duration>);

impl Timings {
    /// Does it so often, each time with what `prepare` makes, whose making is not counted.
    pub(crate) fn of<P, T>(
        times: usize,
        mut prepare: impl FnMut() -> P,
        mut work: impl FnMut(P) -> T,
    ) -> Self {
        let taken = (0..times.max(1)).map(|_| {
            let prepared = prepare();
            let begun = Instant::now();
            let done = black_box(work(black_box(prepared)));
            let taken = begun.elapsed();
            drop(done);
            taken
        });
        let mut taken: Vec<Duration> = taken.collect();
        taken.sort();
        Self(taken)
    }

    /// Takes what was measured elsewhere; `None` if that is nothing.
    pub(crate) fn from(mut taken: Vec<Duration>) -> Option<Self> {
        taken.sort();
        (!taken.is_empty()).then_some(Self(taken))
    }

    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len() - 1;
        self.0[(last * percent).div_ceil(100).min(last)]
    }
}

/// The median and the 99th percentile.
impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", milliseconds(self.percentile(50)), milliseconds(self.percentile(99)))
    }
}

/// With as many digits as a duration deserves.
pub(crate) fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    match milliseconds {
        ..1.0 => format!("{milliseconds:.3}"),
        1.0..100.0 => format!("{milliseconds:.1}"),
        _ => format!("{milliseconds:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_one_of_those_taken() {
        let timings = |count: u64| {
            Timings::from((1..=count).rev().map(Duration::from_millis).collect()).unwrap()
        };
        assert_eq!(timings(1).to_string(), "1.0 / 1.0");
        assert_eq!(timings(100).to_string(), "51.0 / 100");
        assert_eq!(timings(1001).percentile(99), Duration::from_millis(991));
    }
}
