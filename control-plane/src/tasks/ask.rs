//! Asks somebody for their next news, again and again: one question is always under way.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::decide::Fact;

/// Pause before somebody is asked again who failed sooner than that, or had nothing new and yet did not wait.
pub const AGAIN: Duration = Duration::from_millis(250);

/// Tells what is answered. `next` is given the number of the last news, and returns the next one's and what it
/// says; nothing if there was no answer. Ends when nobody hears of it.
pub async fn again_and_again<F: Future<Output = Option<(u64, Fact)>>>(
    mut next: impl FnMut(u64) -> F,
    facts: &mpsc::Sender<Fact>,
) {
    let mut after = 0;
    loop {
        let asked = Instant::now();
        let told = next(after).await.filter(|(number, _)| *number != after);
        if let Some((number, fact)) = told {
            after = number;
            if facts.send(fact).await.is_err() {
                return;
            }
        } else if asked.elapsed() < AGAIN {
            sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use topology::Epoch;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_has_no_news_is_not_asked_as_fast_as_they_answer() {
        let (facts, mut heard) = mpsc::channel(1);
        let mut answers = [Some(1), Some(2), None, Some(2), Some(3)].into_iter();
        let next = |after| {
            let answer = answers.next().flatten().map(|number| {
                let site = "c1@east".parse().unwrap();
                (number, Fact::Renewing { site, epoch: Epoch(after), sequence: number })
            });
            async move { answer }
        };
        let begun = Instant::now();
        let mut told = Vec::new();
        tokio::select! {
            () = again_and_again(next, &facts) => {}
            () = async {
                while told.len() < 3 {
                    let Some(Fact::Renewing { epoch, sequence, .. }) = heard.recv().await else { return };
                    told.push((epoch.0, sequence, begun.elapsed().as_millis()));
                }
            } => {}
        }
        assert_eq!(told, [(0, 1, 0), (1, 2, 0), (2, 3, 500)]);
    }
}
