//! Start, cancel, join: the only place that spawns.
//!
//! The first task to end ends all; the rest get a grace period; the first failure is returned.
//! Nothing outlives what started it.

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span};

/// A set of named tasks. Names are verb phrases: they are the span and the error's context, so that
/// a crash reads "failed to follow the snapshot: connect to etcd: connection refused".
#[derive(Default)]
pub struct Tasks {
    set: JoinSet<(String, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts a task. It is handed the token that says when to stop.
    pub fn start<F, Fut>(&mut self, name: &str, task: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let work = task(self.stop.clone()).instrument(info_span!("task", name));
        let name = name.to_owned();
        self.set.spawn(async move {
            let result = work.await;
            (name, result)
        });
    }

    /// Returns the token all tasks watch, for work that is not a task of its own.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs until `asked` resolves or a task ends, then stops the others within `grace`.
    pub async fn run(
        mut self,
        asked: impl Future<Output = ()>,
        grace: Duration,
    ) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        tokio::select! {
            () = asked => info!("stop asked"),
            Some(ended) = self.set.join_next() => outcome = told(ended),
        }
        self.stop.cancel();
        let rest = async {
            while let Some(ended) = self.set.join_next().await {
                let ended = told(ended);
                if outcome.is_ok() {
                    outcome = ended;
                }
            }
        };
        let graceful = tokio::time::timeout(grace, rest).await.is_ok();
        info!(graceful, "stopped");
        outcome
    }
}

fn told(ended: Result<(String, anyhow::Result<()>), JoinError>) -> anyhow::Result<()> {
    match ended {
        Ok((name, result)) => {
            if let Err(err) = &result {
                error!(task = name, error = format!("{err:#}"), "task failed");
            }
            result.with_context(|| name)
        }
        Err(err) => {
            error!(error = %err, "task panicked");
            Err(err).context("run a task to its end")
        }
    }
}

/// Resolves when the process is asked to stop by SIGTERM or SIGINT.
///
/// # Panics
///
/// Panics where the process may not listen for signals at all, which no supported system does.
pub async fn stop_asked() {
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut int = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_ends_all_and_names_its_task() {
        let mut tasks = Tasks::default();
        tasks.start("wait for ever", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.start("connect to etcd", |_| async { anyhow::bail!("connection refused") });
        let failure = tasks.run(std::future::pending(), Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(format!("{failure:#}"), "connect to etcd: connection refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_will_not_stop_is_left_after_the_grace() {
        let mut tasks = Tasks::default();
        tasks.start("hang", |_| std::future::pending());
        tasks.run(std::future::ready(()), Duration::from_secs(1)).await.unwrap();
    }
}
