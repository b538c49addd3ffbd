//! The control planes, one in each region: the program itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::HttpClient;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use topology::address::Port;
use topology::{RegionId, Spec};

use crate::process::{Process, Used};
use crate::series::Series;

const START_MAX: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);

pub(crate) const LOOKING: &str = "control_plane_look_duration_seconds";
pub(crate) const READING: &str = "control_plane_read_duration_seconds";

pub(crate) struct Plane {
    pub(crate) region: RegionId,
    admin: SocketAddr,
    process: Process,
    log: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) series: Series,
    pub(crate) used: Used,
}

/// When each cell's steps were first told by any of the control planes, in milliseconds since midnight.
pub(crate) type Told = BTreeMap<String, u64>;

pub(crate) async fn start(
    spec: &Spec,
    count: usize,
    program: &Path,
    folder: &Path,
    http: &HttpClient,
) -> anyhow::Result<Vec<Plane>> {
    let mut planes = Vec::new();
    for region in spec.regions.iter().take(count) {
        let log = folder.join(format!("control-plane-{}.log", region.id));
        let arguments = [
            "--region".to_owned(),
            region.id.to_string(),
            "--spec".to_owned(),
            folder.join("regions.yaml").display().to_string(),
            "--run-dir".to_owned(),
            folder.display().to_string(),
        ];
        let process = Process::start(program, arguments, &log)?;
        let admin = spec.region_address(&region.id, Port::ControlPlaneAdmin).context("a region")?;
        planes.push(Plane { region: region.id.clone(), admin, process, log });
    }
    let until = Instant::now() + START_MAX;
    for plane in &planes {
        while plane.seen(http).await.is_err() {
            if Instant::now() > until {
                bail!("hear from {}'s control plane; see {}", plane.region, plane.log.display());
            }
            sleep(LOOK).await;
        }
    }
    Ok(planes)
}

impl Plane {
    pub(crate) async fn seen(&self, http: &HttpClient) -> anyhow::Result<Seen> {
        Ok(Seen { series: Series::read(http, self.admin).await?, used: self.process.used()? })
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Returns when lines with this message first named each cell, after `since`.
    pub(crate) fn told(&self, message: &str, since: u64) -> anyhow::Result<Told> {
        let path = self.log.display();
        let text = fs::read_to_string(&self.log).with_context(|| format!("read {path}"))?;
        let mut told = Told::new();
        for line in text.lines() {
            let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
            let Some(at) = milliseconds_of_day(&line.timestamp) else { continue };
            let about = line.cell.filter(|_| line.message == message && at >= since);
            if let Some(cell) = about {
                told.entry(cell).or_insert(at);
            }
        }
        Ok(told)
    }
}

#[derive(Deserialize)]
struct Line {
    timestamp: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    cell: Option<String>,
}

/// Of a time as in `2026-11-26T01:02:03.456789Z`.
fn milliseconds_of_day(timestamp: &str) -> Option<u64> {
    let (_, time) = timestamp.trim_end_matches('Z').split_once('T')?;
    let mut parts = time.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let seconds = Duration::try_from_secs_f64(parts.next()?.parse().ok()?).ok()?;
    let milliseconds = u64::try_from(seconds.as_millis()).ok()?;
    Some((hours * 60 + minutes) * 60_000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_from_a_log_line() {
        let timestamp = "2026-11-26T01:02:03.456789Z";
        assert_eq!(milliseconds_of_day(timestamp), Some(3_723_456));
        assert_eq!(milliseconds_of_day("yesterday"), None);
    }
}
