//! From when on something is slow, by what it usually takes, and from when on no longer.

use std::time::Duration;

/// How many times as long as usual is slow.
const TIMES: u32 = 8;
/// And how much longer than usual in any case: far away eight times as long is longer than a user waits
/// without noticing.
const MORE: Duration = Duration::from_millis(500);

/// Returns from when on it is slow; nothing below `least` is.
pub(super) fn slow_from(usual: Duration, least: Duration) -> Duration {
    least.max(usual.saturating_mul(TIMES).min(usual.saturating_add(MORE)))
}

/// Returns below what something slow is well again: halfway between what is slow and what is usual, so that
/// what takes now a little more and now a little less does not begin anew each time.
pub(super) fn well_below(usual: Duration, least: Duration) -> Duration {
    usual.saturating_add(slow_from(usual, least).saturating_sub(usual) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_by_it_is_times_and_far_away_it_is_more() {
        let of = |usual| {
            let (usual, least) = (Duration::from_millis(usual), Duration::from_millis(250));
            (slow_from(usual, least).as_millis(), well_below(usual, least).as_millis())
        };
        assert_eq!(of(0), (250, 125));
        assert_eq!(of(10), (250, 130));
        assert_eq!(of(50), (400, 225));
        assert_eq!(of(160), (660, 410));
        // What is usual is never slow, and always well.
        assert_eq!(of(2000), (2500, 2250));
    }

    #[test]
    fn what_takes_for_ever_usually_is_slower_than_nothing() {
        let most = Duration::MAX;
        assert_eq!((slow_from(most, most), well_below(most, most)), (most, most));
    }
}
