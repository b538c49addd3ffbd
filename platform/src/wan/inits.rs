//! A process namespace for each end of the WAN: who lives in one sees nobody else and can signal nobody
//! else, and dies with its init (`platform init`), which dies with the supervisor.
//!
//! ```text
//! supervisor ─┬─ init of east ┄ is pid 1 of ┄ ┌ east ───────────────────┐
//!             ├─ etcd@east ┄┄┄┄ born in ┄┄┄┄┄ │ sees its own /proc only │
//!             ├─ c1@east ┄┄┄┄┄┄ born in ┄┄┄┄┄ └─────────────────────────┘
//!             └─ wan, and what has drills run: outside
//! ```
//!
//! A namespace belongs to whoever a thread starts next, not to the thread: what is started there remains a
//! child of the supervisor, which knows it by the machine's own pid.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use runtime::clock::BootTime;
use runtime::program;
use topology::spec::End;
use topology::wire::fleet::FleetInit;
use tracing::{info, warn};

use super::init::READY;
use crate::decide::restart::Backoff;
use crate::machine::Process;

/// What a thread is in.
const OWN: &str = "/proc/thread-self/ns/pid";
/// By then an init has ended, and whoever was left with it: they are killed.
pub(crate) const END: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// The init of each end that has a process namespace of its own; none, where there is no WAN.
#[derive(Default)]
pub(crate) struct Inits {
    /// This program.
    program: PathBuf,
    by_end: BTreeMap<End, Place>,
}

/// Where an init is, and another one after it.
struct Place {
    /// `None` between the end of one and the start of the next.
    init: Option<Init>,
    /// When the last one was started, or the next one is due.
    since: BootTime,
    backoff: Backoff,
}

/// The first process of a namespace; it ends when this is dropped.
pub(crate) struct Init {
    /// Its standard input is what it lives by.
    child: Child,
    process: Process,
    namespace: File,
}

impl Inits {
    pub(crate) fn make(program: &Path, ends: Vec<End>) -> anyhow::Result<Self> {
        let start = |end: End| {
            let init = Init::start(program, &end)
                .with_context(|| format!("make the process namespace of {end}"))?;
            let (since, backoff) = (BootTime::now(), Backoff::default());
            Ok((end, Place { init: Some(init), since, backoff }))
        };
        let by_end = ends.into_iter().map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { program: program.to_owned(), by_end })
    }

    /// Starts another init where one has ended, whoever has ended it.
    pub(crate) fn renew(&mut self, now: BootTime) {
        for (end, place) in &mut self.by_end {
            let ended = match place.init.as_mut().map(|init| init.child.try_wait()) {
                None | Some(Ok(None)) => None,
                Some(Ok(Some(status))) => Some(status.to_string()),
                Some(Err(err)) => Some(err.to_string()),
            };
            if let Some(status) = ended {
                let pause = place.backoff.after_exit(now.since(place.since));
                warn!(%end, status, ?pause, "init ended, and all who lived there");
                (place.init, place.since) = (None, now + pause);
            }
            if place.init.is_some() || now < place.since {
                continue;
            }
            match Init::start(&self.program, end) {
                Ok(init) => (place.init, place.since) = (Some(init), now),
                Err(err) => {
                    let pause = place.backoff.after_exit(Duration::ZERO);
                    warn!(%end, error = format!("{err:#}"), ?pause, "init not started");
                    place.since = now + pause;
                }
            }
        }
    }

    /// Returns the init of an end; `None` where the end has no process namespace of its own.
    pub(crate) fn of(&self, end: &End) -> anyhow::Result<Option<&Init>> {
        let Some(place) = self.by_end.get(end) else { return Ok(None) };
        place
            .init
            .as_ref()
            .map(Some)
            .with_context(|| format!("find the init of {end}: it has ended"))
    }

    /// Returns them as others read them in `fleet.json`.
    pub(crate) fn lines(&self) -> BTreeMap<String, FleetInit> {
        let running =
            self.by_end.iter().filter_map(|(end, place)| Some((end, place.init.as_ref()?)));
        let line = |(end, init): (&End, &Init)| {
            let Process { pid, start_time } = init.process;
            (end.to_string(), FleetInit { pid, start_time })
        };
        running.map(line).collect()
    }

    /// Ends them all, and with them whoever is left.
    pub(crate) async fn end(&mut self) {
        let mut left: Vec<Init> =
            self.by_end.values_mut().filter_map(|place| place.init.take()).collect();
        for init in &mut left {
            drop(init.child.stdin.take());
        }
        let until = BootTime::now() + END;
        loop {
            left.retain_mut(|init| !matches!(init.child.try_wait(), Ok(Some(_))));
            if left.is_empty() {
                return;
            }
            if BootTime::now() >= until {
                warn!(left = left.len(), "inits do not end");
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Init {
    fn start(program: &Path, end: &End) -> anyhow::Result<Self> {
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
        match Self::ready(&mut child) {
            Ok((process, namespace)) => {
                info!(%end, pid = process.pid, "init started");
                Ok(Self { child, process, namespace })
            }
            Err(err) => {
                child.kill().and_then(|()| child.wait()).context("end the init")?;
                Err(err)
            }
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
        let line = told.recv_timeout(program::PATIENCE).context("wait for the init")?;
        ensure!(line.trim() == READY, "wait for the init: it ended, or said {line:?}");
        let process = Process::with_pid(child.id()).context("find the init")?;
        let path = format!("/proc/{}/ns/pid", process.pid);
        let namespace = File::open(&path).with_context(|| format!("open {path}"))?;
        Ok((process, namespace))
    }

    /// Has what is started be born in the namespace.
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

fn own() -> anyhow::Result<File> {
    File::open(OWN).with_context(|| format!("open {OWN}"))
}

/// Has what this thread starts be born where it is itself again.
fn back(own: File) {
    setns(own, CloneFlags::CLONE_NEWPID).expect("a thread may start others where it is itself");
}
