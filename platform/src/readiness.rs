//! Looks at the running platform until it serves.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use runtime::HttpClient;
use runtime::clock::BootTime;
use topology::Spec;
use topology::address::Port;

use crate::decide::readiness::{CellSeen, Missing, Seen, missing};
use crate::disk;
use crate::run_dir::RunDir;
use crate::terminal::Progress;

/// The whole start; half of it is usual on two cores, the first time.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);
/// On one machine an answer takes milliseconds.
const ANSWER: Duration = Duration::from_secs(1);
/// Lines of a log that are shown with an error.
const TAIL: usize = 5;

pub(crate) struct Observer<'a> {
    client: HttpClient,
    spec: &'a Spec,
    run_dir: &'a RunDir,
}

#[derive(serde::Deserialize)]
struct EtcdHealth {
    health: String,
}

#[derive(serde::Deserialize)]
struct Cells {
    data: Vec<CellSeen>,
}

impl<'a> Observer<'a> {
    pub(crate) fn new(spec: &'a Spec, run_dir: &'a RunDir) -> anyhow::Result<Self> {
        let tls = spec.control_plane_tls.as_ref();
        let authority = tls.map(|tls| run_dir.path().join(&tls.authority));
        Ok(Self { client: HttpClient::trusting(authority.as_deref())?, spec, run_dir })
    }

    /// Returns the cells once everything serves. `still` fails when waiting has become pointless.
    pub(crate) async fn wait(
        &self,
        mut still: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<CellSeen>> {
        let mut progress = Progress::default();
        let begun = BootTime::now();
        loop {
            let seen = self.look().await;
            let missing = missing(self.spec, &seen);
            let elapsed = BootTime::now().since(begun);
            let outcome = match &*missing {
                [] => Some(Ok(seen.cells.unwrap_or_default())),
                [..] if elapsed >= PATIENCE => Some(Err(self.explain(&missing))),
                [first, rest @ ..] => {
                    let more = match rest.len() {
                        0 => String::new(),
                        more => format!(", and {more} more"),
                    };
                    let text = format!("waiting for {}{more}", first.what);
                    progress.show(&text, elapsed.as_secs());
                    still().err().map(Err)
                }
            };
            if let Some(outcome) = outcome {
                progress.end();
                return outcome;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn look(&self) -> Seen {
        let mut etcd = BTreeMap::new();
        for region in &self.spec.regions {
            let address = self.spec.region_address(&region.id, Port::EtcdClient);
            let url = address.map(|address| format!("http://{address}/health")).unwrap_or_default();
            let health = self.client.get::<EtcdHealth>(&url, ANSWER).await;
            let healthy = health.is_ok_and(|said| said.health == "true");
            // A member that was left behind is not waited for: it rejoins when somebody lets it.
            let left_out = self.run_dir.is_held_for_good(&format!("etcd@{}", region.id));
            etcd.insert(region.id.to_string(), healthy || left_out);
        }
        Seen { etcd, cells: self.cells().await, edge: self.edge().await }
    }

    /// Asks the control planes in turn.
    async fn cells(&self) -> Option<Vec<CellSeen>> {
        let token = fs::read_to_string(self.run_dir.control_plane_token()).ok()?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", token.trim())).ok()?;
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        for region in &self.spec.regions {
            let url = format!("{}/v1/cells", self.spec.control_plane_url(&region.id)?);
            let answer =
                self.client.call(Method::GET, &url, headers.clone(), Bytes::new(), ANSWER).await;
            match answer.and_then(|answer| answer.json::<Cells>(&url)) {
                Ok(cells) => return Some(cells.data),
                Err(err) => tracing::debug!(%url, error = %err, "control plane does not tell"),
            }
        }
        None
    }

    async fn edge(&self) -> bool {
        let url = format!("http://{}/healthz", self.spec.edge.listen);
        let answer =
            self.client.call(Method::GET, &url, HeaderMap::new(), Bytes::new(), ANSWER).await;
        answer.is_ok_and(|answer| answer.status.is_success())
    }

    /// Says what did not come, and what those who should have brought it logged last.
    fn explain(&self, missing: &[Missing]) -> anyhow::Error {
        let mut lines = Vec::new();
        for missing in missing {
            let logs: Vec<String> = missing
                .processes
                .iter()
                .map(|process| self.run_dir.log(process).display().to_string())
                .collect();
            lines.push(format!("  {}; see {}", missing.what, logs.join(" ")));
        }
        let fleet = disk::fleet(self.run_dir).ok().flatten();
        let restarted = fleet.iter().flat_map(|fleet| &fleet.processes).find(|process| {
            process.restarts > 0
                && missing.iter().any(|missing| missing.processes.contains(&process.name))
        });
        if let Some(process) = restarted {
            let (name, restarts) = (&process.name, process.restarts);
            lines.push(format!("{name} was restarted {restarts} times; its log ends"));
            lines.extend(tail(&process.log, TAIL).into_iter().map(|line| format!("  {line}")));
        }
        let waited = PATIENCE.as_secs();
        anyhow!("see the platform serve; after {waited} s it is without\n{}", lines.join("\n"))
    }
}

/// Returns the last lines of a log; none if there is no such log.
pub(crate) fn tail(path: impl AsRef<std::path::Path>, lines: usize) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut last: Vec<String> = text.lines().rev().take(lines).map(str::to_owned).collect();
    last.reverse();
    last
}
