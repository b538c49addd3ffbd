//! What this process is: flags and environment, checked against `regions.yaml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser;
use topology::address::Port;
use topology::{RegionId, Spec};

use crate::callers::Callers;
use crate::console::session::Key;
use crate::failpoint::Failpoint;

/// A shorter key could be guessed from a cookie.
const KEY_MIN: usize = 32;

#[derive(Parser)]
#[command(
    name = "control-plane",
    version,
    about = "One region's control plane: watches every site, moves cells whose active site is lost",
    after_help = "Example:\n  control-plane --region east --spec regions.yaml --run-dir /var/lib/bulkhead"
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
    /// Where a test lets this process end; nowhere in earnest.
    pub failpoint: Failpoint,
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
        Ok(Self {
            region: raw.region.clone(),
            callers,
            console_key: Key::new(key.trim_ascii()),
            listen: address(Port::ControlPlane)?,
            admin: address(Port::ControlPlaneAdmin)?,
            failpoint: Failpoint::default(),
            spec: Arc::new(spec),
        })
    }
}
