//! Network namespaces without names: each lives as long as somebody holds it, and no longer.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, anyhow};
use nix::sched::{CloneFlags, setns, unshare};
use topology::Spec;
use topology::spec::{End, Network, Wan};
use topology::wire::fleet::Fleet;

use super::ip::ip;

/// What a thread is in.
const OWN: &str = "/proc/thread-self/ns/net";

/// Where the namespace of each end of the WAN is; nowhere, where there is no WAN.
#[derive(Default)]
pub(crate) struct Namespaces {
    paths: BTreeMap<End, PathBuf>,
    /// What the paths lead to, where they have been made here.
    _held: Vec<File>,
}

impl Namespaces {
    /// Makes one for each end. They are there for as long as this is, or a process in them.
    pub(crate) fn make(spec: &Spec, wan: &Wan) -> anyhow::Result<Self> {
        let regions = spec.regions.iter();
        let regions = regions.map(|region| (End::Region(region.id.clone()), region.network));
        let ends = regions.chain([(End::Edge, wan.edge)]);
        let (mut paths, mut held) = (BTreeMap::new(), Vec::new());
        for (end, network) in ends {
            let file = in_thread(move || make_one(network))
                .with_context(|| format!("make the network namespace of {end}"))?;
            let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
            paths.insert(end, PathBuf::from(path));
            held.push(file);
        }
        Ok(Self { paths, _held: held })
    }

    /// Returns those that a supervisor holds.
    pub(crate) fn of(fleet: &Fleet) -> anyhow::Result<Self> {
        let path = |(end, path): (&String, &String)| {
            let end = end.parse().with_context(|| format!("understand the end {end:?}"))?;
            Ok((end, PathBuf::from(path)))
        };
        let paths = fleet.namespaces.iter().map(path).collect::<anyhow::Result<_>>()?;
        Ok(Self { paths, _held: Vec::new() })
    }

    pub(crate) fn path(&self, end: &End) -> Option<&Path> {
        self.paths.get(end).map(PathBuf::as_path)
    }

    pub(crate) fn ends(&self) -> Vec<End> {
        self.paths.keys().cloned().collect()
    }

    /// Returns what tells `platform wan` where they are.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let argument =
            |(end, path): (&End, &PathBuf)| format!("--namespace={end}={}", path.display());
        self.paths.iter().map(argument).collect()
    }

    /// Returns them as others read them in `fleet.json`.
    pub(crate) fn lines(&self) -> BTreeMap<String, String> {
        let line = |(end, path): (&End, &PathBuf)| (end.to_string(), path.display().to_string());
        self.paths.iter().map(line).collect()
    }
}

/// Everything in the end's network is the namespace's own, and of the rest of the loopback range
/// only the beginning, for what a process has for itself.
fn make_one(network: Network) -> anyhow::Result<File> {
    unshare(CloneFlags::CLONE_NEWNET).context("leave the network namespace")?;
    let [a, b] = network.prefix();
    let lines = [
        "link set dev lo up".to_owned(),
        "address delete 127.0.0.1/8 dev lo".to_owned(),
        "address add 127.0.0.1/16 dev lo".to_owned(),
        format!("address add {a}.{b}.0.1/16 dev lo"),
    ];
    ip(&lines)?;
    File::open(OWN).with_context(|| format!("open {OWN}"))
}

/// Does something in a namespace, or where this process is.
pub(super) fn inside<T: Send + 'static>(
    namespace: Option<&Path>,
    what: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let Some(path) = namespace else { return what() };
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let path = path.to_owned();
    in_thread(move || {
        setns(file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("enter {}", path.display()))?;
        what()
    })
}

/// A thread of its own is the only one that changes places, and ends there.
fn in_thread<T: Send + 'static>(
    what: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    thread::spawn(what).join().map_err(|_panic| anyhow!("a thread panicked"))?
}
