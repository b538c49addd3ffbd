//! The access log: some of the requests, a line of JSON each.
//!
//! A request never waits for it. What is to be written goes into a bounded queue, from which one task
//! writes; when the queue is full the line is dropped, and counted. A line tells what became of a
//! request and never who asked what: no user, no token, no query, no id.

mod file;
mod line;
mod path;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use pingora_proxy::Session;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use topology::spec::{AccessLog as Policy, Destination};
use tracing::{info, warn};

use crate::forwarding::Forwarding;
use crate::metrics::{Line as Outcome, Metrics};
use file::Rotated;
use line::{Line, Why};

/// Lines that wait to be written: some 250 bytes each, and a second of a disk that does not answer
/// at a rate at which all requests of a router fail.
const QUEUE: usize = 8192;
/// Lines written at a time.
const BATCH: usize = 256;

/// Decides which requests are written down, and hands them on.
pub(crate) struct AccessLog {
    policy: Policy,
    seen: AtomicU32,
    queue: mpsc::Sender<Line>,
    metrics: Arc<Metrics>,
}

/// What the task that writes needs.
pub(crate) struct Writer {
    queue: mpsc::Receiver<Line>,
    output: Output,
    metrics: Arc<Metrics>,
}

enum Output {
    File(Rotated),
    Stdout,
    Nowhere,
}

/// Makes both ends; `folder` is the router's own.
pub(crate) fn open(policy: &Policy, folder: &Path, metrics: &Arc<Metrics>) -> (AccessLog, Writer) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let output = match policy.to {
        Destination::File => Output::File(Rotated::new(folder.join("access.jsonl"))),
        Destination::Stdout => Output::Stdout,
        Destination::Nowhere => Output::Nowhere,
    };
    let seen = AtomicU32::new(0);
    let (policy, metrics) = (policy.clone(), Arc::clone(metrics));
    let log = AccessLog { policy, seen, queue: sender, metrics: Arc::clone(&metrics) };
    (log, Writer { queue: receiver, output, metrics })
}

impl AccessLog {
    /// Notes a request that is over, if it is one of those that are written down. `status` is none
    /// where nothing was answered.
    pub(crate) fn note(
        &self,
        session: &Session,
        request: &Forwarding,
        status: Option<u16>,
        elapsed: Duration,
    ) {
        if self.policy.to == Destination::Nowhere {
            return;
        }
        let turn = self.seen.fetch_add(1, Ordering::Relaxed);
        let Some(why) = why(&self.policy, turn, status, elapsed) else { return };
        if self.queue.try_send(Line::new(why, session, request, status, elapsed)).is_err() {
            self.metrics.access_log(Outcome::Dropped, 1);
        }
    }
}

/// Returns why a request is written down, the `turn`th that is over.
fn why(policy: &Policy, turn: u32, status: Option<u16>, elapsed: Duration) -> Option<Why> {
    if status.is_none_or(|status| status >= 500) {
        Some(Why::Failed)
    } else if elapsed >= policy.slow {
        Some(Why::Slow)
    } else {
        turn.is_multiple_of(policy.one_in).then_some(Why::Sampled)
    }
}

impl Writer {
    /// Writes until stopped, and then what is left. A disk that takes nothing costs lines and nothing
    /// else.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut failing = false;
        loop {
            let mut lines = Vec::with_capacity(BATCH);
            tokio::select! {
                _ = self.queue.recv_many(&mut lines, BATCH) => {}
                () = stop.cancelled() => {
                    self.queue.close();
                    self.queue.recv_many(&mut lines, QUEUE).await;
                }
            }
            if lines.is_empty() {
                return Ok(());
            }
            let text = line::text(&lines);
            let mut output = self.output;
            // A disk may take its time; what else runs here may not.
            let (output, result) = tokio::task::spawn_blocking(move || {
                let result = output.write(&text);
                (output, result)
            })
            .await
            .context("write the access log")?;
            self.output = output;
            match &result {
                Ok(()) if failing => info!("access log is written again"),
                Err(error) if !failing => warn!(%error, "access log not written"),
                Ok(()) | Err(_) => {}
            }
            failing = result.is_err();
            let outcome = if failing { Outcome::Failed } else { Outcome::Written };
            self.metrics.access_log(outcome, lines.len());
        }
    }
}

impl Output {
    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        match self {
            Self::File(file) => file.write(text),
            Self::Stdout => std::io::stdout().lock().write_all(text),
            Self::Nowhere => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(3);

    #[test]
    fn of_ordinary_requests_one_in_so_many_is_written_down() {
        let policy = Policy { one_in: 10, ..Policy::default() };
        let sampled = (0..100).filter(|turn| why(&policy, *turn, Some(200), FAST).is_some());
        assert_eq!(sampled.count(), 10);
        // A client's own mistakes are no failures: whoever sends many must not fill the disk.
        assert_eq!(why(&policy, 1, Some(401), FAST), None);
    }

    #[test]
    fn what_failed_or_was_slow_always_is() {
        let policy = Policy { one_in: 1_000_000, ..Policy::default() };
        assert_eq!(why(&policy, 1, Some(503), FAST), Some(Why::Failed));
        assert_eq!(why(&policy, 1, None, FAST), Some(Why::Failed));
        assert_eq!(why(&policy, 1, Some(200), policy.slow), Some(Why::Slow));
    }
}
