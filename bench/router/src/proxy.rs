//! Who is compared: each proxy, set up to find a user's site among three.

mod envoy;
mod haproxy;
mod nginx;
pub(crate) mod router;
mod smallest;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::process::Process;
use crate::sites;

/// What a proxy does besides proxying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Hashes a header, as users of these proxies do.
    Hash,
    /// Verifies the token first, and hashes its subject.
    Verify,
    /// Everything a router does in production.
    Everything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Nginx,
    Haproxy,
    Envoy,
    /// What Pingora costs without a router.
    Smallest,
    Router,
}

/// One proxy with one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) task: Task,
}

/// Everybody, the one that others are compared with first.
pub(crate) const CONTENDERS: [Contender; 7] = [
    Contender { program: Program::Haproxy, task: Task::Hash },
    Contender { program: Program::Nginx, task: Task::Hash },
    Contender { program: Program::Envoy, task: Task::Hash },
    Contender { program: Program::Smallest, task: Task::Hash },
    Contender { program: Program::Router, task: Task::Everything },
    Contender { program: Program::Haproxy, task: Task::Verify },
    Contender { program: Program::Envoy, task: Task::Verify },
];

/// Where the programs are that are not on the path.
pub(crate) struct Programs {
    /// None where it cannot be had.
    pub(crate) envoy: Option<PathBuf>,
    pub(crate) smallest: PathBuf,
    pub(crate) router: PathBuf,
}

/// A proxy that runs.
pub(crate) struct Proxy {
    pub(crate) contender: Contender,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match (self.program, self.task) {
            (Program::Nginx, _) => "nginx",
            (Program::Haproxy, Task::Verify) => "HAProxy, verifying tokens",
            (Program::Haproxy, Task::Hash | Task::Everything) => "HAProxy",
            (Program::Envoy, Task::Verify) => "Envoy, verifying tokens",
            (Program::Envoy, Task::Hash | Task::Everything) => "Envoy",
            (Program::Smallest, _) => "Pingora alone",
            (Program::Router, _) => "router",
        }
    }

    /// Starts it in a folder of its own; none where it cannot be had.
    pub(crate) fn start(
        self,
        folder: &Path,
        programs: &Programs,
        core: u32,
    ) -> anyhow::Result<Option<Proxy>> {
        let folder = folder.join(self.name().replace([',', ' '], "-"));
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let place = CONTENDERS.iter().position(|contender| *contender == self).unwrap_or_default();
        let port = 18_001 + u16::try_from(place).context("find a port")?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let words = match self.program {
            Program::Nginx => nginx::prepare(&folder, address),
            Program::Haproxy => haproxy::prepare(&folder, address, self.task),
            Program::Envoy => match &programs.envoy {
                Some(program) => envoy::prepare(&folder, address, self.task, program),
                None => return Ok(None),
            },
            Program::Smallest => Ok(smallest::prepare(address, &programs.smallest)),
            Program::Router => router::prepare(&folder, address, &programs.router, &sites::all()?),
        };
        let words = words.with_context(|| format!("configure {}", self.name()))?;
        let log = folder.join("log");
        let process = Process::start(core, words.iter().map(String::as_str), &log, address)?;
        Ok(Some(Proxy { contender: self, address, process }))
    }
}

/// Writes a proxy's configuration and returns the path in words.
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}
