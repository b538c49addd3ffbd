//! Asks every site's agent how it is, four times a second, and its services to do what users need, once
//! a second: over a connection of its own where routers find nobody, who come over new ones.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use topology::{SiteId, Spec};

use crate::agents::{Agents, PROBE};
use crate::decide::Fact;
use crate::decide::state::{Deep, State};

/// How often: two misses are known within a second.
const PERIOD: Duration = Duration::from_millis(250);

/// Questions to one site that may be under way at once: as many as begin while the first is waited for
/// over the longest way there may be.
const ASKED_MAX: usize = 4;

/// How often a site does what a user's write needs: rare enough that nobody notices, often enough to
/// see in a few seconds that it does not work.
const DEEP_PERIOD: Duration = Duration::from_secs(1);

/// Probes until stopped. Sites are asked independently: a slow one delays no other.
pub async fn probe(
    spec: &Spec,
    agents: &Agents,
    state: &watch::Receiver<Arc<State>>,
    facts: mpsc::Sender<Fact>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let sites = spec.cells.iter().flat_map(|cell| {
        cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
    });
    let (sites, facts): (Vec<SiteId>, _) = (sites.collect(), &facts);
    // Spread over the period: thousands of answers at once would each wait for all the others.
    let (first, count) = (Instant::now(), u32::try_from(sites.len()).unwrap_or(u32::MAX));
    let ticks = |number, period| interval_at(first + period * number / count, period);
    let probes = sites.into_iter().zip(0..).map(|(site, number)| async move {
        tokio::join!(
            again_and_again(site.clone(), ticks(number, PERIOD), agents, facts),
            deeply(site, ticks(number, DEEP_PERIOD), agents, state, facts)
        )
    });
    tokio::select! {
        _ = join_all(probes) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn again_and_again(
    site: SiteId,
    ticks: Interval,
    agents: &Agents,
    facts: &mpsc::Sender<Fact>,
) {
    let ask = || {
        let (site, agents) = (site.clone(), agents.clone());
        async move {
            let answer = agents.status(&site).await;
            if let Err(err) = &answer {
                tracing::debug!(%site, error = %err, "probe missed");
            }
            Fact::Probed { site, answer: answer.ok() }
        }
    };
    overlapping(ticks, ask, facts).await;
}

/// Asks at each tick whose predecessor has been answered, and again after a while where it has not been:
/// over a long way a miss takes longer to be known than the next question should wait. Ends when nobody
/// hears of the answers.
async fn overlapping<T, F: Future<Output = T>>(
    mut ticks: Interval,
    ask: impl Fn() -> F,
    answers: &mpsc::Sender<T>,
) {
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = FuturesUnordered::new();
    let mut again_at = Instant::now();
    loop {
        let has_room = asked.len() < ASKED_MAX;
        let may_ask = asked.is_empty() || has_room && Instant::now() >= again_at;
        tokio::select! {
            _ = ticks.tick(), if may_ask => {
                asked.push(ask());
                // On one machine the first question counts as missed by then.
                again_at = Instant::now() + PROBE;
            }
            Some(answer) = asked.next() => {
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
            () = sleep_until(again_at), if has_room && !may_ask => {}
        }
    }
}

async fn deeply(
    site: SiteId,
    mut ticks: Interval,
    agents: &Agents,
    state: &watch::Receiver<Arc<State>>,
    facts: &mpsc::Sender<Fact>,
) {
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let anew = is_not_found(&site, &state.borrow(), begun);
        let Some(outcome) = agents.canary(&site, anew).await else { continue };
        let deep = Deep { outcome, took: begun.elapsed(), anew };
        if facts.send(Fact::Tried { site: site.clone(), deep }).await.is_err() {
            return;
        }
    }
}

/// Whether the site serves, and routers do not find it.
fn is_not_found(site: &SiteId, state: &State, now: Instant) -> bool {
    let active = state.cells().get(&site.cell).and_then(|seen| seen.routed.activation.serving());
    active == Some(&site.region)
        && state.traffic(&site.cell).is_some_and(|traffic| traffic.finds_nobody(now).is_some())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_misses_over_a_long_way_are_known_sooner_than_one_after_the_other() {
        // From the fourth question on nothing comes back.
        let way = |number| if number < 3 { 160 } else { 750 };
        assert_eq!(
            told(way, 6).await,
            ["0 at 160", "1 at 410", "2 at 660", "3 at 1500", "4 at 1900", "5 at 2300"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn on_one_machine_a_site_is_asked_once_at_a_time() {
        let way = |number| if number < 3 { 1 } else { 400 };
        assert_eq!(
            told(way, 5).await,
            ["0 at 1", "1 at 251", "2 at 501", "3 at 1150", "4 at 1550"]
        );
    }

    /// Returns when each question was known to be answered or missed.
    async fn told(way: impl Fn(u64) -> u64, count: usize) -> Vec<String> {
        let begun = Instant::now();
        let asked = RefCell::new(0..);
        let ask = || {
            let number = asked.borrow_mut().next().unwrap();
            let way = Duration::from_millis(way(number));
            async move {
                sleep(way).await;
                format!("{number} at {}", begun.elapsed().as_millis())
            }
        };
        let (answers, mut heard) = mpsc::channel(1);
        let mut told = Vec::new();
        tokio::select! {
            () = overlapping(interval_at(begun, PERIOD), ask, &answers) => {}
            () = async {
                while told.len() < count {
                    told.extend(heard.recv().await);
                }
            } => {}
        }
        told
    }
}
