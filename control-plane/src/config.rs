//! What this process is: flags and environment, checked against `regions.yaml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use runtime::door::{self, Certificate};
use topology::address::Port;
use topology::{RegionId, Spec};

use crate::callers::Callers;
use crate::console::session::Key;
use crate::failpoint::Failpoint;
use crate::rehearsal::Rehearsals;

/// A shorter key could be guessed from a cookie.
const KEY_MIN: usize = 32;

#[derive(Parser)]
#[command(
    name = "control-plane",
    version,
    about = "One region's control plane: watches every site, moves cells whose active site is lost",
    after_help = "Examples:\n  control-plane --region east --spec regions.yaml --run-dir /var/lib/bulkhead
  control-plane --region east --spec regions.yaml --run-dir /var/lib/bulkhead --drills weekly"
)]
pub struct RawConfig {
    /// The region this process is in.
    #[arg(long)]
    pub region: RegionId,
    /// The world: regions, cells, addresses, times.
    #[arg(long, env = "BULKHEAD_SPEC", default_value = "regions.yaml")]
    pub spec: PathBuf,
    /// Where it is kept who may call, in `secrets/control-plane.callers`.
    #[arg(long, env = "BULKHEAD_RUN_DIR")]
    pub run_dir: PathBuf,
    /// Have the drills of this suite, a name or a file, run when they are due: by one control plane at a
    /// time, and only where the run directory's `drills-allowed` allows drills.
    #[arg(long, value_name = "SUITE")]
    pub drills: Option<String>,
}

/// Cannot be wrong: the region is one of the spec's, and somebody may call.
#[derive(Clone)]
pub struct Config {
    pub region: RegionId,
    pub spec: Arc<Spec>,
    pub callers: Callers,
    /// What the console signs its sessions with; the same in every region.
    pub console_key: Key,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    /// What is shown to whoever asks with TLS; nothing where it is asked in the open.
    pub certificate: Option<Arc<Certificate>>,
    /// Where a test lets this process end; nowhere in earnest.
    pub failpoint: Failpoint,
    /// The drills that are run when they are due, if any are.
    pub rehearsals: Option<Rehearsals>,
}

impl Config {
    /// Reads and checks what the flags name.
    pub fn read(raw: &RawConfig) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(&raw.spec)
            .with_context(|| format!("read {}", raw.spec.display()))?;
        let spec = Spec::parse(&text).map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("accept {}:\n{}", raw.spec.display(), lines.join("\n"))
        })?;
        let callers = Callers::read(&raw.run_dir.join("secrets/control-plane.callers"))?;
        let path = raw.run_dir.join("secrets/console.key");
        let key = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        if key.trim_ascii().len() < KEY_MIN {
            bail!("find a key of at least {KEY_MIN} bytes in {}", path.display());
        }
        let address = |port| {
            spec.region_address(&raw.region, port)
                .with_context(|| format!("find region {} in {}", raw.region, raw.spec.display()))
        };
        let listen = address(Port::ControlPlane)?;
        let certificate = certificate(&spec, listen, &raw.run_dir)?;
        let of_suite = |suite| Rehearsals::of(suite, raw.run_dir.clone());
        let rehearsals = raw.drills.clone().map(of_suite).transpose()?;
        Ok(Self {
            rehearsals,
            region: raw.region.clone(),
            callers,
            console_key: Key::new(key.trim_ascii()),
            listen,
            certificate,
            admin: address(Port::ControlPlaneAdmin)?,
            failpoint: Failpoint::default(),
            spec: Arc::new(spec),
        })
    }
}

/// Tokens and cookies never cross a network in the open.
fn certificate(
    spec: &Spec,
    listen: SocketAddr,
    run_dir: &Path,
) -> anyhow::Result<Option<Arc<Certificate>>> {
    let Some(tls) = &spec.control_plane_tls else {
        ensure!(
            listen.ip().is_loopback(),
            "listen on {listen} without TLS: it is not on loopback; name a certificate under \
             control-plane: tls: in regions.yaml"
        );
        return Ok(None);
    };
    let (own, key) = (run_dir.join(&tls.own.certificate), run_dir.join(&tls.own.key));
    Ok(Some(Arc::new(door::certificate(own, key).context("read the API's certificate")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_served_in_the_open_but_on_loopback() {
        let text = include_str!("../../regions.yaml");
        let spec = Spec::parse(text).unwrap();
        let served = |address: &str| {
            certificate(&spec, address.parse().unwrap(), Path::new("")).map(|it| it.is_some())
        };
        assert!(!served("127.1.0.1:7000").unwrap());
        let refused = served("10.1.0.1:7000").unwrap_err().to_string();
        assert!(refused.starts_with("listen on 10.1.0.1:7000 without TLS"), "{refused}");
    }
}
