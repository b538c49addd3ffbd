//! Starts one process: in its own group, dying with the supervisor, writing to its log.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::Context as _;
use topology::wire::fleet::FleetRole;

use crate::decide::plan::Planned;
use crate::preflight::Programs;
use crate::run_dir::RunDir;

/// Environment that would change what etcd and PostgreSQL do behind our back.
const FOREIGN: [&str; 2] = ["ETCD_", "PG"];

/// Starts a process, which the kernel kills should the supervisor die without stopping it. An own
/// process group keeps a Ctrl-C on the terminal from reaching it: the supervisor stops processes in
/// order. `more` are arguments for this start alone.
pub(crate) fn start(
    planned: &Planned,
    more: &[&str],
    programs: &Programs,
    run_dir: &RunDir,
) -> anyhow::Result<Child> {
    let log = run_dir.log(&planned.name);
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("open {}", log.display()))?;
    let err = out.try_clone().with_context(|| format!("open {} twice", log.display()))?;
    let mut command = runtime::child::tied("KILL", None);
    for (name, _) in std::env::vars_os() {
        if FOREIGN.iter().any(|foreign| name.to_string_lossy().starts_with(foreign)) {
            command.env_remove(name);
        }
    }
    command
        .arg(program(planned.role, programs))
        .args(&planned.arguments)
        .args(more)
        .current_dir(run_dir.path())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .with_context(|| format!("start {}", planned.name))
}

fn program(role: FleetRole, programs: &Programs) -> &Path {
    match role {
        FleetRole::Etcd => &programs.etcd,
        FleetRole::ControlPlane => &programs.control_plane,
        FleetRole::Site => &programs.cell,
        FleetRole::Router => &programs.router,
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
