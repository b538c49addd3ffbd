//! Says every two seconds what this router routes by, and what its users got. Nothing rests on it:
//! with etcd gone it is tried again at the next turn.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use topology::wire::key;
use topology::wire::report::RouterReport;
use tracing::debug;

use crate::metrics::{Metrics, Told, Traffic};
use crate::room::Room;
use crate::table::Table;

/// How often the router says how it is.
pub(crate) const EVERY: Duration = Duration::from_secs(2);
/// What traffic is counted by.
const SECOND: Duration = Duration::from_secs(1);

/// What a report is made of, and where it goes.
pub(crate) struct Reporter {
    pub(crate) name: String,
    pub(crate) etcd: Etcd,
    pub(crate) table: Arc<Table>,
    pub(crate) room: Arc<Room>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Reporter {
    /// Reports until stopped.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let key = key::router(&self.name);
        let count = |traffic: &mut Traffic| traffic.tick(self.metrics.counts());
        let tell = |told| self.tell(&key, told);
        tokio::select! {
            failed = alternate(count, tell) => failed,
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Returns whether the report is known to have been delivered.
    async fn tell(&self, key: &str, told: Told) -> anyhow::Result<bool> {
        let Some(applied) = self.table.current() else { return Ok(false) };
        let age = applied.stale_since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.metrics.table_age.set(age);
        let report = RouterReport {
            sequence: told.sequence,
            version: applied.snapshot.version.0,
            stale: applied.stale_since.is_some(),
            held: self.room.held(),
            traffic: told.traffic,
        };
        let value = serde_json::to_vec(&report).context("write a report")?;
        let put = self.etcd.put(key, value).await;
        if let Err(err) = &put {
            debug!(error = %err, "report not delivered");
        }
        Ok(put.is_ok())
    }
}

/// Counts every second and tells every other; a second ends while a report is under way, too.
async fn alternate<Telling>(
    count: impl Fn(&mut Traffic),
    tell: impl Fn(Told) -> Telling,
) -> anyhow::Result<()>
where
    Telling: Future<Output = anyhow::Result<bool>>,
{
    let traffic = Mutex::new(Traffic::default());
    let look = || traffic.lock().unwrap_or_else(PoisonError::into_inner);
    let counting = async {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            count(&mut look());
        }
    };
    let telling = async {
        let mut turns = interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let told = look().tell();
            if tell(told).await? {
                look().delivered();
            }
        }
    };
    tokio::select! {
        biased;
        // A second that ends now is told now.
        () = counting => Ok(()),
        failed = telling => failed,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::metrics::counted;

    /// How long etcd takes for a report, in seconds, and whether it says that it has it.
    type Put = (u64, bool);

    #[tokio::test(start_paused = true)]
    async fn a_report_that_is_not_delivered_is_told_again_and_then_what_came_meanwhile() {
        let told = run(&[(0, true), (0, false), (0, false), (0, true)], 8).await;
        let expected: [(u64, &[u64]); 5] =
            [(1, &[]), (2, &[1, 2]), (2, &[1, 2]), (2, &[1, 2]), (3, &[3, 4, 5, 6, 7, 8])];
        assert_eq!(told, expected.map(|(sequence, seconds)| (sequence, seconds.to_vec())));
    }

    #[tokio::test(start_paused = true)]
    async fn seconds_go_on_while_etcd_takes_its_time() {
        let told = run(&[(0, true), (5, true)], 8).await;
        let expected: [(u64, &[u64]); 3] = [(1, &[]), (2, &[1, 2]), (3, &[3, 4, 5, 6, 7])];
        assert_eq!(told, expected.map(|(sequence, seconds)| (sequence, seconds.to_vec())));
    }

    /// Reports for so many seconds, in each of which there is one request more than in the one
    /// before; returns the sequence of each report and the requests of its seconds.
    async fn run(puts: &[Put], seconds: u64) -> Vec<(u64, Vec<u64>)> {
        let puts = Mutex::new(puts.iter().copied().collect::<VecDeque<_>>());
        let (told, second) = (Mutex::new(Vec::new()), AtomicU64::new(0));
        let count = |traffic: &mut Traffic| {
            let second = second.fetch_add(1, Ordering::Relaxed);
            traffic.tick(counted("c1", second * (second + 1) / 2));
        };
        let tell = |report: Told| {
            let requests = report.traffic.get("c1").into_iter().flatten();
            let requests = requests.map(|second| second.requests).collect();
            told.lock().unwrap().push((report.sequence, requests));
            let (takes, is_delivered) = puts.lock().unwrap().pop_front().unwrap_or((0, true));
            async move {
                sleep(Duration::from_secs(takes)).await;
                Ok(is_delivered)
            }
        };
        // Between two turns, so that it is clear which of them have been.
        let end = Duration::from_millis(seconds * 1000 + 500);
        assert!(timeout(end, alternate(count, tell)).await.is_err());
        told.into_inner().unwrap()
    }
}
