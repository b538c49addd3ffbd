//! Letting held requests go little by little, so that a site that just came up is not run over.
//!
//! Only requests that were held take turns; those that arrive meanwhile are the site's usual load.
//! How many turns there are is decided in `decide::release`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use topology::Epoch;

use crate::decide::release::{Ended, Pace, Share};

/// One cell's release.
pub(crate) struct Release {
    pace: Mutex<Pace>,
    freed: Notify,
    started: Instant,
}

impl Default for Release {
    fn default() -> Self {
        Self { pace: Mutex::default(), freed: Notify::new(), started: Instant::now() }
    }
}

impl Release {
    /// Waits for a turn. `spread` sets apart those that wait for the same step.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        epoch: Epoch,
        share: Share,
        spread: Duration,
    ) -> Turn {
        loop {
            let (taken, wakes_another) = self.pace(|pace| {
                (pace.take(epoch, share, self.started.elapsed()), pace.wakes_another(share))
            });
            match taken {
                Ok(()) => {
                    if wakes_another {
                        self.freed.notify_one();
                    }
                    let since = Instant::now();
                    return Turn { release: Arc::clone(self), epoch, since, ended: Ended::Unused };
                }
                Err(wait) => {
                    tokio::select! {
                        () = self.freed.notified() => {}
                        () = tokio::time::sleep(wait + spread) => {}
                    }
                }
            }
        }
    }

    /// Looks at the pace. The lock is held for a few additions.
    fn pace<T>(&self, look: impl FnOnce(&mut Pace) -> T) -> T {
        look(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A held request's turn, over when dropped; unused unless something else has been said.
pub(crate) struct Turn {
    release: Arc<Release>,
    epoch: Epoch,
    since: Instant,
    ended: Ended,
}

impl Turn {
    /// Ends the turn with the site's answer.
    pub(crate) fn answered(mut self) {
        self.ended = Ended::Answered(self.since.elapsed());
    }

    /// Ends the turn without an answer, or with one that says that the site is not well.
    pub(crate) fn failed(mut self) {
        self.ended = Ended::Failed;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = self.release.started.elapsed();
        self.release.pace(|pace| pace.ended(self.epoch, self.ended, now));
        self.release.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any of these takes.
    const MOST: Share = Share { first: 8, most: 1000 };
    const EPOCH: Epoch = Epoch(7);

    #[tokio::test(start_paused = true)]
    async fn answers_let_more_go_and_failures_fewer() {
        let release = Arc::new(Release::default());
        for (failed, expected) in [(0, 8), (0, 16), (32, 32), (16, 16), (0, 8), (0, 16)] {
            let mut turns = at_once(&release).await;
            assert_eq!(turns.len(), expected);
            turns.drain(..failed).for_each(Turn::failed);
            turns.into_iter().for_each(Turn::answered);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_makes_room_for_the_next() {
        let release = Arc::new(Release::default());
        let mut turns = at_once(&release).await;
        let begun = Instant::now();
        turns.remove(0).answered();
        let _turn = release.turn(EPOCH, MOST, Duration::ZERO).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_after_a_silence_wakes_as_many_as_may_go() {
        let release = Arc::new(Release::default());
        let mut turns = at_once(&release).await;
        let asleep: Vec<_> = (0..10)
            .map(|_| {
                let release = Arc::clone(&release);
                Box::pin(async move { release.turn(EPOCH, MOST, Duration::ZERO).await })
            })
            .collect();
        let mut asleep = futures_util::future::join_all(asleep);
        assert!(tokio::time::timeout(Duration::from_millis(450), &mut asleep).await.is_err());
        let begun = Instant::now();
        turns.drain(..2).for_each(Turn::answered);
        let woken = asleep.await;
        assert_eq!((woken.len(), begun.elapsed()), (10, Duration::ZERO));
    }

    /// Takes the turns that can be had without waiting.
    async fn at_once(release: &Arc<Release>) -> Vec<Turn> {
        let mut turns = Vec::new();
        let turn = || release.turn(EPOCH, MOST, Duration::ZERO);
        while let Ok(turn) = tokio::time::timeout(Duration::ZERO, turn()).await {
            turns.push(turn);
        }
        turns
    }
}
