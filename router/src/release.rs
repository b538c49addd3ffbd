//! Letting held requests go little by little, so that a site that just came up is not run over.
//!
//! Only requests that were held take turns; those that arrive meanwhile are the site's usual load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use topology::Epoch;

/// In flight at first, of those that were held.
const AT_FIRST: usize = 8;
/// How long until twice as many may be.
const DOUBLING: Duration = Duration::from_millis(100);
/// Doublings after which every request that could be held may go (8 × 2¹⁰ > 6,000).
const DOUBLINGS_MAX: u32 = 10;
/// A release that was quiet for so long is over; the next one starts small again.
const QUIET: Duration = Duration::from_secs(2);

/// One cell's release.
#[derive(Default)]
pub(crate) struct Release {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    epoch: Epoch,
    began: Option<Instant>,
    last: Option<Instant>,
    in_flight: usize,
}

impl State {
    /// Takes one of at most `most` turns under this epoch, or says how long until more may go.
    fn take(&mut self, epoch: Epoch, most: usize, now: Instant) -> Result<(), Duration> {
        let is_over = self.in_flight == 0 && self.last.is_none_or(|last| now - last > QUIET);
        if is_over || epoch > self.epoch {
            *self = Self { epoch, began: Some(now), last: None, in_flight: self.in_flight };
        }
        let since = self.began.map_or(Duration::ZERO, |began| now - began);
        if self.in_flight < allowance(since).min(most) {
            self.in_flight += 1;
            self.last = Some(now);
            return Ok(());
        }
        let into = since.as_millis() % DOUBLING.as_millis();
        Err(DOUBLING.saturating_sub(Duration::from_millis(u64::try_from(into).unwrap_or(0))))
    }
}

/// Returns how many held requests may be in flight this long after the release began.
fn allowance(since: Duration) -> usize {
    let doublings = u32::try_from(since.as_millis() / DOUBLING.as_millis()).unwrap_or(u32::MAX);
    AT_FIRST << doublings.min(DOUBLINGS_MAX)
}

impl Release {
    /// Waits for a turn. `spread` sets apart those that wait for the same doubling.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        epoch: Epoch,
        most: usize,
        spread: Duration,
    ) -> Turn {
        loop {
            let taken = self.state(|state| state.take(epoch, most, Instant::now()));
            match taken {
                Ok(()) => return Turn(Arc::clone(self)),
                Err(wait) => {
                    tokio::select! {
                        () = self.freed.notified() => {}
                        () = tokio::time::sleep(wait + spread) => {}
                    }
                }
            }
        }
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A held request's turn, over when dropped: the site has answered, or the try has failed.
pub(crate) struct Turn(Arc<Release>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state(|state| state.in_flight = state.in_flight.saturating_sub(1));
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any of these takes.
    const MOST: usize = 1000;

    #[tokio::test(start_paused = true)]
    async fn eight_go_at_once_and_twice_as_many_each_tenth_of_a_second() {
        let release = Arc::new(Release::default());
        let begun = Instant::now();
        let mut turns = Vec::new();
        let mut when = Vec::new();
        for _ in 0..40 {
            turns.push(release.turn(Epoch(7), MOST, Duration::ZERO).await);
            when.push(begun.elapsed().as_millis());
        }
        assert_eq!(
            (when[7], when[8], when[15], when[16], when[31], when[32]),
            (0, 100, 100, 200, 200, 300)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_makes_room_for_the_next() {
        let release = Arc::new(Release::default());
        let mut turns = Vec::new();
        for _ in 0..AT_FIRST {
            turns.push(release.turn(Epoch(7), MOST, Duration::ZERO).await);
        }
        let begun = Instant::now();
        drop(turns.pop());
        let _turn = release.turn(Epoch(7), MOST, Duration::ZERO).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_epoch_starts_small_again() {
        let release = Arc::new(Release::default());
        let mut turns = vec![release.turn(Epoch(7), MOST, Duration::ZERO).await];
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 1..AT_FIRST {
            turns.push(release.turn(Epoch(8), MOST, Duration::ZERO).await);
        }
        let begun = Instant::now();
        turns.push(release.turn(Epoch(8), MOST, Duration::ZERO).await);
        assert_eq!(begun.elapsed(), DOUBLING);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_the_cell_may_have() {
        let release = Arc::new(Release::default());
        let mut turns = Vec::new();
        for _ in 0..20 {
            turns.push(release.turn(Epoch(7), 20, Duration::ZERO).await);
        }
        let hour = Duration::from_hours(1);
        let next = tokio::time::timeout(hour, release.turn(Epoch(7), 20, Duration::ZERO)).await;
        assert!(next.is_err());
    }
}
