//! The running platform: what it consists of, who runs where, and how to talk to it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use topology::wire::fleet::Fleet;
use topology::{CellId, SiteId, Spec};

use crate::process::{Process, tree};

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

/// One process the platform started, with everything that one started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// As in `fleet.json`.
    pub(crate) name: String,
    /// Itself first.
    pub(crate) processes: Vec<Process>,
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

    /// Returns everything that runs now, in the order of the fleet.
    pub(crate) fn members(&self) -> anyhow::Result<Vec<Member>> {
        let mut members = Vec::new();
        for listed in self.fleet()?.processes {
            let own = listed.pid.zip(listed.start_time);
            let mut roots: Vec<Process> =
                own.map(|(pid, start_time)| Process { pid, start_time }).into_iter().collect();
            // PostgreSQL outlives its agent.
            if let Some(site) = listed.name.parse().ok().filter(|_| listed.cell.is_some()) {
                roots.extend(self.postmaster(&site)?);
            }
            let found = tree(&roots);
            let first = roots.iter().copied().filter(|root| found.contains(root));
            let rest = found.iter().copied().filter(|process| !roots.contains(process));
            members.push(Member { name: listed.name, processes: first.chain(rest).collect() });
        }
        Ok(members)
    }

    /// Returns a site's postmaster, by the pid it wrote into its data folder; `None` if none runs.
    pub(crate) fn postmaster(&self, site: &SiteId) -> anyhow::Result<Option<Process>> {
        postmaster_of(&self.postgres_data(site))
    }

    /// Returns a site's agent.
    pub(crate) fn agent(&self, site: &SiteId) -> anyhow::Result<Process> {
        self.running(&site.to_string())
    }

    /// Returns a process of the fleet by its name.
    pub(crate) fn running(&self, name: &str) -> anyhow::Result<Process> {
        let fleet = self.fleet()?;
        let listed = fleet.processes.iter().find(|process| process.name == name);
        let listed = listed.with_context(|| format!("find {name} in fleet.json"))?;
        let process =
            listed.pid.zip(listed.start_time).map(|(pid, start_time)| Process { pid, start_time });
        process.filter(|process| process.is_alive()).with_context(|| format!("find {name} running"))
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

/// Returns the postmaster of a data folder, likewise.
pub(crate) fn postmaster_of(data: &Path) -> anyhow::Result<Option<Process>> {
    let path = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    let pid: u32 = pid.with_context(|| format!("read a pid from {}", path.display()))?;
    let Some(process) = Process::with_pid(pid) else { return Ok(None) };
    // A stale file may name somebody else's process.
    let folder = data.to_string_lossy();
    let is_its = process.arguments().iter().any(|argument| argument.contains(folder.as_ref()));
    ensure!(is_its, "trust {}: process {pid} does not run on {folder}", path.display());
    Ok(Some(process))
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
