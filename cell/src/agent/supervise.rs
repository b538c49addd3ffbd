//! The site's services as child processes: started, watched, restarted with back-off.
//!
//! A service that stops answering `/livez` is killed and started again. On Kubernetes the kubelet
//! does this instead.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method};
use prometheus::{IntCounterVec, register_int_counter_vec};
use runtime::{Board, HttpClient};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use tracing::{info, warn};

use super::decide::restart::Restarts;
use crate::config::Site;

/// How often a service is asked whether it lives.
const ASK: Duration = Duration::from_secs(1);
const ASK_TIME: Duration = Duration::from_secs(1);
/// So many times in a row without an answer, and the service is killed.
const SILENT_MAX: u32 = 5;
/// A service may take this long to start answering: the language model is trained first.
const START_TIME: Duration = Duration::from_mins(1);
/// How long a service may take to finish what is in flight when the site stops.
const STOP_TIME: Duration = Duration::from_secs(3);

/// A service and its admin port.
pub(crate) const SERVICES: [(&str, Port); 4] = [
    ("session", Port::SessionAdmin),
    ("nlp", Port::NlpAdmin),
    ("knowledge", Port::KnowledgeAdmin),
    ("ticket", Port::TicketAdmin),
];

/// Counts restarts, by service; every series exists from the start.
#[derive(Clone)]
pub(crate) struct Metrics(IntCounterVec);

impl Metrics {
    pub(crate) fn register() -> anyhow::Result<Self> {
        let restarts = register_int_counter_vec!(
            "cell_service_restarts_total",
            "How often a service of the site was started again",
            &["service"]
        )
        .context("register the restarts")?;
        for (service, _) in SERVICES {
            restarts.with_label_values(&[service]).reset();
        }
        Ok(Self(restarts))
    }
}

/// Runs one service until stopped.
pub(crate) async fn supervise(
    site: Arc<Site>,
    service: &'static str,
    admin: Port,
    http: HttpClient,
    board: Board,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut restarts = Restarts::default();
    let livez = format!("http://{}/livez", site.address(admin));
    loop {
        let mut child = start(&site, service)?;
        let started = Instant::now();
        let ended = tokio::select! {
            ended = child.wait() => told(ended.context("wait for the service")?),
            () = silent(&http, &livez, &board, service) => {
                child.kill().await.context("kill a silent service")?;
                "stopped answering".to_owned()
            }
            () = stop.cancelled() => {
                end(&mut child).await?;
                return Ok(());
            }
        };
        board.condition(service, Err(ended.clone()));
        let pause = restarts.ended(started.elapsed());
        warn!(service, ended, ?pause, "service ended; starting it again");
        metrics.0.with_label_values(&[service]).inc();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// The service dies with the agent: nothing serves without somebody holding the right.
fn start(site: &Site, service: &str) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("find this program")?;
    let mut command = Command::from(runtime::child::tied("KILL", None));
    command
        .arg(own)
        .arg(service)
        .args(["--cell", site.id.cell.as_str(), "--region", site.id.region.as_str()])
        .arg("--spec")
        .arg(&site.spec_path)
        .arg("--run-dir")
        .arg(&site.run_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {service}"))
}

/// Resolves when the service has not answered for too long.
async fn silent(http: &HttpClient, livez: &str, board: &Board, service: &str) {
    let started = Instant::now();
    let mut answered = false;
    let mut misses = 0;
    while misses < SILENT_MAX {
        tokio::time::sleep(ASK).await;
        let answer = http.call(Method::GET, livez, HeaderMap::new(), Bytes::new(), ASK_TIME).await;
        match answer {
            Ok(answer) if answer.status.is_success() => {
                if !answered {
                    info!(service, "service answers");
                }
                answered = true;
                misses = 0;
                board.condition(service, Ok(()));
            }
            Ok(_) | Err(_) => {
                board.condition(service, Err("does not answer".to_owned()));
                misses += u32::from(answered || started.elapsed() > START_TIME);
            }
        }
    }
}

async fn end(child: &mut Child) -> anyhow::Result<()> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(err) = kill_process(pid, Signal::TERM)
    {
        info!(error = %err, "service ended before it was asked to");
    }
    if tokio::time::timeout(STOP_TIME, child.wait()).await.is_err() {
        child.kill().await.context("kill a service that does not stop")?;
    }
    Ok(())
}

fn told(status: ExitStatus) -> String {
    status.to_string()
}
