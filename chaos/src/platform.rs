//! The running platform: what it consists of, who runs where, and how to talk to it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use topology::wire::fleet::Fleet;
use topology::{CellId, SiteId, Spec};

use crate::process::Process;

/// A platform that was seen running.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) run_dir: PathBuf,
    pub(crate) spec: Spec,
    /// For the control plane's API.
    pub(crate) token: String,
    /// Of the development issuer.
    pub(crate) identity_key: String,
}

impl Platform {
    /// Returns the platform of a run directory; `None` if none runs there.
    pub(crate) fn find(run_dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(fleet) = read_fleet(run_dir)? else { return Ok(None) };
        if Process::with_pid(fleet.supervisor).is_none() {
            return Ok(None);
        }
        let path = run_dir.join("spec.yaml");
        let spec = Spec::parse(&read(&path)?).map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("accept {}: {}", path.display(), lines.join("; "))
        })?;
        let secret = |name: &str| read(&run_dir.join("secrets").join(name));
        Ok(Some(Self {
            run_dir: run_dir.to_owned(),
            spec,
            token: secret("control-plane.token")?.trim().to_owned(),
            identity_key: secret("identity.key")?.trim().to_owned(),
        }))
    }

    /// Reads who runs where, as it is now.
    pub(crate) fn fleet(&self) -> anyhow::Result<Fleet> {
        read_fleet(&self.run_dir)?.context("read fleet.json: it is gone")
    }

    pub(crate) fn service_password(&self, cell: &CellId) -> anyhow::Result<String> {
        let folder = self.run_dir.join("secrets").join(cell.as_str());
        Ok(read(&folder.join("service.password"))?.trim().to_owned())
    }

    /// Returns where a site's PostgreSQL keeps its data.
    pub(crate) fn postgres_data(&self, site: &SiteId) -> PathBuf {
        self.run_dir.join("sites").join(site.to_string()).join("postgres/data")
    }

    pub(crate) fn drills(&self) -> PathBuf {
        self.run_dir.join("drills")
    }
}

fn read_fleet(run_dir: &Path) -> anyhow::Result<Option<Fleet>> {
    let path = run_dir.join("fleet.json");
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("understand {}", path.display())),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("read {}", path.display())),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
