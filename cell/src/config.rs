//! What this process is: flags and environment, checked against `regions.yaml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use runtime::telemetry::{self, Telemetry};
use topology::address::Port;
use topology::{CellId, RegionId, SiteId, Spec};

#[derive(Args, Clone)]
pub struct SiteArgs {
    /// The cell, as in regions.yaml.
    #[arg(long)]
    cell: CellId,
    /// The region this site is in.
    #[arg(long)]
    region: RegionId,
    /// The world: regions, cells, addresses, times.
    #[arg(long, env = "BULKHEAD_SPEC", default_value = "regions.yaml")]
    spec: PathBuf,
    /// Where state, secrets and logs are kept.
    #[arg(long, env = "BULKHEAD_RUN_DIR")]
    run_dir: PathBuf,
}

/// A site and what it needs to know; everything in it exists.
pub struct Site {
    pub id: SiteId,
    pub spec: Spec,
    pub spec_path: PathBuf,
    pub run_dir: PathBuf,
    _telemetry: Telemetry,
}

impl Site {
    /// Reads and checks the configuration, and starts telemetry as `service`.
    pub fn read(args: &SiteArgs, service: &'static str) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(&args.spec)
            .with_context(|| format!("read {}", args.spec.display()))?;
        let spec = Spec::parse(&text).map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("accept {}:\n{}", args.spec.display(), lines.join("\n"))
        })?;
        let id = SiteId { cell: args.cell.clone(), region: args.region.clone() };
        let Some(cell) = spec.cell(&id.cell) else {
            bail!("find cell {} in {}", id.cell, args.spec.display());
        };
        if !cell.regions().any(|region| *region == id.region) {
            bail!("find a site of cell {} in region {}", id.cell, id.region);
        }
        let telemetry = telemetry::start(
            &format!("bulkhead-{service}"),
            &id.to_string(),
            Some(id.region.as_str()),
        )?;
        Ok(Self {
            id,
            spec,
            spec_path: args.spec.clone(),
            run_dir: args.run_dir.clone(),
            _telemetry: telemetry,
        })
    }

    /// Returns where one of this site's processes listens.
    #[must_use]
    pub fn address(&self, port: Port) -> SocketAddr {
        self.peer_address(&self.id.region, port)
    }

    /// Returns where a process of this cell's site in `region` listens.
    ///
    /// # Panics
    ///
    /// Panics if the region is not one of the spec's: regions come from the spec.
    #[must_use]
    pub fn peer_address(&self, region: &RegionId, port: Port) -> SocketAddr {
        self.spec.site_address(&self.id.cell, region, port).expect("regions come from the spec")
    }

    /// Returns where this site keeps its state.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.run_dir.join("sites").join(self.id.to_string())
    }

    /// Returns the file with a database role's password; the same for all sites of a cell.
    #[must_use]
    pub fn password_file(&self, role: &str) -> PathBuf {
        password_file(&self.run_dir, &self.id.cell, role)
    }
}

/// Returns the file with the password of one of a cell's database roles: `postgres` (the agent),
/// `replicator` or `service`.
#[must_use]
pub fn password_file(run_dir: &Path, cell: &CellId, role: &str) -> PathBuf {
    run_dir.join("secrets").join(cell.as_str()).join(format!("{role}.password"))
}
