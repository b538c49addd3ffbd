//! The running platform: what it consists of, who runs where, and how to talk to it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runtime::fake_clock::FOLDER;
use topology::wire::fleet::Fleet;
use topology::{CellId, SiteId, Spec};

use crate::drill::Offers;
use crate::fault::etcd::tools;
use crate::fault::restore;
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
                roots.extend(self.postmaster(&site));
            }
            let found = tree(&roots);
            let first = roots.iter().copied().filter(|root| found.contains(root));
            let rest = found.iter().copied().filter(|process| !roots.contains(process));
            members.push(Member { name: listed.name, processes: first.chain(rest).collect() });
        }
        Ok(members)
    }

    /// Returns a site's postmaster, by the pid it wrote into its data folder, which is the one it has in its
    /// region; `None` if none runs.
    pub(crate) fn postmaster(&self, site: &SiteId) -> Option<Process> {
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

    pub(crate) fn offers(&self) -> Offers {
        Offers {
            wan: self.spec.is_emulated,
            clocks: self.run_dir.join(FOLDER).exists(),
            snapshots: tools::found().is_some(),
            backups: restore::is_installed(),
        }
    }

    pub(crate) fn service_password(&self, cell: &CellId) -> anyhow::Result<String> {
        let folder = self.run_dir.join("secrets").join(cell.as_str());
        Ok(read(&folder.join("service.password"))?.trim().to_owned())
    }

    /// Returns where a site's PostgreSQL keeps its data.
    pub(crate) fn postgres_data(&self, site: &SiteId) -> PathBuf {
        self.run_dir.join("sites").join(site.to_string()).join("postgres/data")
    }

    /// Returns where every process logs, PostgreSQL too.
    pub(crate) fn logs(&self) -> PathBuf {
        self.run_dir.join("logs")
    }

    pub(crate) fn drills(&self) -> PathBuf {
        self.run_dir.join("drills")
    }
}

/// Returns the postmaster of a data folder, likewise. A server that is just writing the file is none yet,
/// and one that has left it behind is none any more.
pub(crate) fn postmaster_of(data: &Path) -> Option<Process> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = text.lines().next()?.trim().parse().ok()?;
    // A stale file may name somebody else's process, and other regions may have one of this pid, too.
    let folder = data.to_string_lossy();
    let is_its = |process: &Process| {
        process.arguments().iter().any(|argument| argument.contains(folder.as_ref()))
    };
    Process::with_own_pid(pid).into_iter().find(is_its)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_is_half_written_or_of_somebody_else_is_no_servers() {
        let data = std::env::temp_dir().join(format!("chaos-postmaster-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        let mut server = std::process::Command::new("sh");
        let mut server = server.args(["-c", "read line", &data.to_string_lossy()]);
        server = server.stdin(std::process::Stdio::piped());
        let mut server = server.spawn().unwrap();
        // In the middle of an exec a process has no arguments at all.
        while Process::with_pid(server.id()).unwrap().arguments().len() < 4 {
            std::thread::yield_now();
        }
        let of = |text: &str| {
            fs::write(data.join("postmaster.pid"), text).unwrap();
            postmaster_of(&data).map(|process| process.pid)
        };
        assert_eq!(of(&format!("{}\n{}\n", server.id(), data.display())), Some(server.id()));
        assert_eq!((of(""), of(&std::process::id().to_string())), (None, None));
        server.kill().unwrap();
        server.wait().unwrap();
        fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn a_server_of_a_region_is_found_by_the_pid_it_has_there() {
        let missing = runtime::emulation::missing();
        if !missing.is_empty() {
            skip(&missing.join("; "));
            return;
        }
        let data = std::env::temp_dir().join(format!("chaos-region-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        let mut region = std::process::Command::new("unshare");
        region.args(["--pid", "--fork", "--kill-child", "sh", "-c", "read line"]).arg(&data);
        let mut region = region.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let outside = Process::with_pid(region.id()).unwrap();
        fs::write(data.join("postmaster.pid"), "1\n").unwrap();
        let server = loop {
            if let Some(server) = postmaster_of(&data) {
                break server;
            }
            assert!(region.try_wait().unwrap().is_none());
            std::thread::yield_now();
        };
        assert!(server != outside && outside.descendants().contains(&server));
        region.kill().unwrap();
        region.wait().unwrap();
        fs::remove_dir_all(&data).unwrap();
    }

    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    fn skip(why: &str) {
        eprintln!("skipped: no process namespaces here: {why}");
    }
}
