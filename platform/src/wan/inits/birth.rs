//! How an init is born, and how others are born where it lives.
//!
//! A namespace belongs to whoever a thread starts next, not to the thread: what is started there remains a
//! child of the supervisor, which knows it by the machine's own pid.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use runtime::program;
use topology::spec::End;
use tracing::{info, warn};

use super::END;
use crate::machine::Process;
use crate::wan::init::READY;

/// What a thread is in.
const OWN: &str = "/proc/thread-self/ns/pid";

/// The first process of a namespace; it ends when this is dropped.
pub(crate) struct Init {
    /// Its standard input is what it lives by.
    pub(super) child: Child,
    pub(super) process: Process,
    namespace: File,
}

impl Init {
    pub(super) fn start(program: &Path, end: &End) -> anyhow::Result<Self> {
        let own = own()?;
        unshare(CloneFlags::CLONE_NEWPID).context("leave the process namespace")?;
        // Mounts of the machine still come and go in there; its own are nobody else's.
        let spawned = Command::new("unshare")
            .args(["--mount", "--propagation", "slave", "--mount-proc", "--"])
            .arg(program)
            .args(["init", "--end", &end.to_string()])
            // A Ctrl-C on the terminal is for the supervisor.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        back(own);
        let mut child = spawned.context("run unshare; it is of util-linux")?;
        match ready(&mut child) {
            Ok((process, namespace)) => {
                info!(%end, pid = process.pid, "init started");
                Ok(Self { child, process, namespace })
            }
            Err(err) => {
                let killed = child.kill().context("kill it");
                if let Err(left) = killed.and_then(|()| program::ended(child, "", END)) {
                    warn!(%end, error = format!("{left:#}"), "init that is none not ended");
                }
                Err(err)
            }
        }
    }

    /// Whether somebody can be born there: to who is born where the init is dead the kernel says that there is
    /// no memory.
    pub(super) fn lets_others_be_born(&self) -> bool {
        self.process.is_alive() && !self.process.is_ending()
    }

    /// Has what is started be born in the namespace. `start` makes no thread: the kernel refuses one while its
    /// children would be born elsewhere.
    pub(crate) fn bear<T>(&self, start: impl FnOnce() -> T) -> anyhow::Result<T> {
        let own = own()?;
        setns(&self.namespace, CloneFlags::CLONE_NEWPID).context("enter the process namespace")?;
        let started = start();
        back(own);
        Ok(started)
    }

    /// Returns where the mounts of who lives there are, `/proc` among them.
    pub(crate) fn mounts(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/mnt", self.process.pid))
    }
}

/// Waits until the init is one, and opens what it is the init of.
fn ready(child: &mut Child) -> anyhow::Result<(Process, File)> {
    let said = child.stdout.take().context("read what the init says")?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // What cannot be read has not been said; nobody may wait for it any more.
        drop(BufReader::new(said).read_line(&mut line));
        drop(tell.send(line));
    });
    let line = told.recv_timeout(program::PATIENCE);
    let line = line.with_context(|| format!("wait {:?} for the init", program::PATIENCE))?;
    ensure!(line.trim() == READY, "wait for the init: it ended, or said {line:?}");
    let process = Process::with_pid(child.id()).context("find the init")?;
    let path = format!("/proc/{}/ns/pid", process.pid);
    let namespace = File::open(&path).with_context(|| format!("open {path}"))?;
    Ok((process, namespace))
}

fn own() -> anyhow::Result<File> {
    File::open(OWN).with_context(|| format!("open {OWN}"))
}

/// Has what this thread starts be born where it is itself again. Otherwise it starts nobody any more: they
/// would live in a region that they do not belong to.
fn back(own: File) {
    setns(own, CloneFlags::CLONE_NEWPID).expect("a thread may start others where it is itself");
}
