//! Starts one process: in its own group, dying with the supervisor, writing to its log.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::Context as _;
use topology::wire::fleet::FleetRole;

use crate::clocks::Clocks;
use crate::decide::plan::Planned;
use crate::preflight::Programs;
use crate::run_dir::RunDir;
use crate::wan::inits::{Init, Inits};
use crate::wan::namespaces::Namespaces;

/// Environment that would change what etcd and PostgreSQL do behind our back.
const FOREIGN: [&str; 2] = ["ETCD_", "PG"];

/// What everything is started with.
pub(crate) struct Start {
    pub(crate) run_dir: RunDir,
    pub(crate) programs: Programs,
    /// Where the regions and the edge are, if each is in a network of its own.
    pub(crate) namespaces: Namespaces,
    /// Of the same, if what is started is to live among their processes.
    pub(crate) inits: Inits,
    /// Of the sites, if drills can set them.
    pub(crate) clocks: Option<Clocks>,
}

impl Start {
    /// Starts a process, which the kernel kills should the supervisor die without stopping it. An
    /// own process group keeps a Ctrl-C on the terminal from reaching it: the supervisor stops
    /// processes in order. `more` are arguments for this start alone.
    pub(crate) fn start(&self, planned: &Planned, more: &[&str]) -> anyhow::Result<Child> {
        let log = self.run_dir.log(&planned.name);
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open {}", log.display()))?;
        let err = out.try_clone().with_context(|| format!("open {} twice", log.display()))?;
        let init = planned.lives_in().map_or(Ok(None), |end| self.inits.of(&end));
        let init = init.with_context(|| format!("start {}", planned.name))?;
        let mut command = match init {
            Some(_) => runtime::child::tied_from_outside("KILL"),
            None => runtime::child::tied("KILL", None),
        };
        for (name, _) in std::env::vars_os() {
            if FOREIGN.iter().any(|foreign| name.to_string_lossy().starts_with(foreign)) {
                command.env_remove(name);
            }
        }
        let told = match planned.role {
            FleetRole::Wan => self.namespaces.arguments(),
            FleetRole::Etcd | FleetRole::ControlPlane | FleetRole::Site | FleetRole::Router => {
                Vec::new()
            }
        };
        if let Some(clocks) = self.clocks.as_ref().filter(|_| planned.role == FleetRole::Site) {
            command.envs(clocks.environment(&planned.name)?);
        }
        command
            .args(self.entrance(planned, init))
            .arg(program(planned.role, &self.programs))
            .args(&planned.arguments)
            .args(told)
            .args(more)
            .current_dir(self.run_dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let spawned = match init {
            Some(init) => init.bear(|| command.spawn()),
            None => Ok(command.spawn()),
        };
        spawned.and_then(|spawned| Ok(spawned?)).with_context(|| format!("start {}", planned.name))
    }

    /// Returns what a program is started by, so that it finds itself in the network it belongs to, and with
    /// what is mounted there. No process is added: `nsenter` becomes the program.
    fn entrance(&self, planned: &Planned, init: Option<&Init>) -> Vec<String> {
        let end = planned.end();
        let Some(network) = end.as_ref().and_then(|end| self.namespaces.path(end)) else {
            return Vec::new();
        };
        let mut words = vec!["nsenter".to_owned(), format!("--net={}", network.display())];
        match init {
            Some(init) => {
                words.extend([format!("--mount={}", init.mounts().display()), "--".to_owned()]);
                // Who goes where other things are mounted finds itself at the root of them.
                words.push("env".to_owned());
                words.push(format!("--chdir={}", self.run_dir.path().display()));
            }
            None => words.push("--".to_owned()),
        }
        words
    }
}

fn program(role: FleetRole, programs: &Programs) -> &Path {
    match role {
        FleetRole::Etcd => &programs.etcd,
        FleetRole::ControlPlane => &programs.control_plane,
        FleetRole::Site => &programs.cell,
        FleetRole::Router => &programs.router,
        FleetRole::Wan => &programs.platform,
    }
}

/// Puts a log of an earlier run aside.
pub(crate) fn rotate(log: &Path) -> anyhow::Result<()> {
    let mut aside = log.as_os_str().to_owned();
    aside.push(".1");
    match fs::rename(log, &aside) {
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("put {} aside", log.display())),
    }
}
