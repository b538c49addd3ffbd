//! What takes one fault away again: complete in itself, so that whoever reads it from a journal can
//! do it, and idempotent, so that it does not matter who did it before.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::mounts;
use runtime::process::Living;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::fault::etcd::swap;
use crate::fault::{clock_offset, disk_full, hold};
use crate::filter::Filter;
use crate::freeze::Cgroup;
use crate::journal::Step;
use crate::process::{Process, is_stopped};
use crate::wan;

/// How the names of what drills make begin: cgroups, files, policies. A sweep knows them by it.
pub(crate) const PREFIX: &str = "bulkhead-drill-";
/// What is killed may still be in the middle of a call.
const ENDED_LOOK: Duration = Duration::from_millis(5);
const ENDED_LOOKS: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Undo {
    /// Remove a hold file, if it is still this run's: then the process may start again.
    Hold { path: PathBuf, reason: String },
    /// Let a process that SIGSTOP has stopped go on.
    GoOn(Named),
    /// Let everybody in a cgroup of ours go on, send them home and remove it.
    Leave(Cgroup),
    /// Lift a policy of the emulated WAN.
    Lift { socket: PathBuf, id: String },
    /// Give the database server of a folder room to write in.
    Room { data: PathBuf },
    /// Unmount a volume that no platform uses any more.
    Unmount { place: PathBuf },
    /// Set a clock right.
    Clock { path: PathBuf },
    /// Give etcd's members back what they had, unless all of them have had other data for good.
    Etcd { aside: PathBuf },
    /// Remove a table of the packet filter.
    Filter(Filter),
    /// End a process that a drill has started; it carries the label among its arguments.
    End { label: String },
}

/// Returns a run directory as a part of a name.
pub(crate) fn place(run_dir: &Path) -> String {
    /// The kernel allows names of 255 bytes; the end of a path tells more than its beginning.
    const LONGEST: usize = 120;
    let path = run_dir.to_string_lossy();
    let plain: Vec<char> =
        path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    plain[plain.len().saturating_sub(LONGEST)..].iter().collect()
}

/// Returns the name of what a run makes on a machine, by which only it is found.
pub(crate) fn label(run_dir: &Path, run: &str, what: &str, step: Step) -> String {
    labels_of(run_dir) + &within(run, what, step)
}

/// Returns the name of what a run makes within a platform.
pub(crate) fn label_within(run: &str, what: &str, step: Step) -> String {
    PREFIX.to_owned() + &within(run, what, step)
}

/// The step tells it from what other actions of the same kind make.
fn within(run: &str, what: &str, step: Step) -> String {
    let what = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_ascii_lowercase();
    format!("{run}-{what}-{step}")
}

/// Returns how the labels of all drills on a platform begin.
pub(crate) fn labels_of(run_dir: &Path) -> String {
    format!("{PREFIX}{}-", place(run_dir))
}

/// A process as a journal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
}

/// What was there to take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    Now,
    /// It had been taken away, had never come to be, or its target is gone: as good.
    Before,
}

impl Undo {
    /// Takes the fault away.
    pub(crate) fn play(&self) -> anyhow::Result<Undone> {
        match self {
            Self::Hold { path, reason } => lift(path, reason),
            Self::GoOn(named) => go_on(Process::from(*named)),
            Self::Leave(cgroup) => cgroup.thaw(),
            Self::Lift { socket, id } => lift_policy(socket, id),
            Self::Room { data } => disk_full::free(data),
            Self::Unmount { place } => mounts::unmount(place).map(|()| Undone::Now),
            Self::Clock { path } => clock_offset::set_right(path),
            Self::Etcd { aside } => swap::put_back(aside),
            Self::Filter(filter) => filter.remove(),
            Self::End { label } => end(label),
        }
    }

    /// Whether a restart of the machine has taken it away already.
    pub(crate) fn ends_with_the_machine(&self) -> bool {
        match self {
            Self::GoOn(_)
            | Self::Room { .. }
            | Self::Unmount { .. }
            | Self::Leave(_)
            | Self::Lift { .. }
            | Self::Filter(_)
            | Self::End { .. } => true,
            Self::Hold { .. } | Self::Clock { .. } | Self::Etcd { .. } => false,
        }
    }
}

fn lift(path: &Path, reason: &str) -> anyhow::Result<Undone> {
    let text = match fs::read(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Undone::Before),
        text => text.with_context(|| format!("read {}", path.display()))?,
    };
    // What cannot be read is of nobody, and would be in everybody's way.
    let hold = serde_json::from_slice::<topology::wire::fleet::Hold>(&text);
    if hold.as_ref().is_ok_and(|hold| hold.reason != reason) {
        return Ok(Undone::Before);
    }
    // Whoever is held while its data are exchanged must not begin with half of them.
    if hold.is_ok_and(|hold| hold.until == hold::FOR_GOOD)
        && let Some(run_dir) = path.ancestors().nth(2)
    {
        swap::ensure_settled(run_dir)?;
    }
    remove(path)
}

/// A WAN that is gone has taken its policies along.
fn lift_policy(socket: &Path, id: &str) -> anyhow::Result<Undone> {
    if !wan::is_there(socket)? {
        return Ok(Undone::Before);
    }
    let is_there = wan::policies(socket)?.iter().any(|force| force.policy.id == id);
    wan::lift(socket, id)?;
    Ok(if is_there { Undone::Now } else { Undone::Before })
}

fn remove(path: &Path) -> anyhow::Result<Undone> {
    match fs::remove_file(path) {
        Ok(()) => Ok(Undone::Now),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(Undone::Before),
        Err(err) => Err(err).with_context(|| format!("remove {}", path.display())),
    }
}

fn go_on(process: Process) -> anyhow::Result<Undone> {
    let was_stopped = is_stopped(process);
    // Sent in any case: a stop that is on its way is taken back by it, too.
    let sent = process.signal(Signal::CONT);
    sent.with_context(|| format!("let process {} go on", process.pid))?;
    Ok(if was_stopped { Undone::Now } else { Undone::Before })
}

fn end(label: &str) -> anyhow::Result<Undone> {
    let found = labelled(label);
    end_all(&found).with_context(|| format!("end the processes called {label}"))?;
    Ok(if found.is_empty() { Undone::Before } else { Undone::Now })
}

/// Returns once all of them are gone: what one of them has just begun is not done any more.
pub(crate) fn end_all(processes: &[Process]) -> anyhow::Result<()> {
    for process in processes {
        let sent = process.signal(Signal::KILL);
        sent.with_context(|| format!("end process {}", process.pid))?;
    }
    for _ in 0..ENDED_LOOKS {
        if !processes.iter().any(|process| process.is_alive()) {
            return Ok(());
        }
        std::thread::sleep(ENDED_LOOK);
    }
    bail!("see them end: {processes:?}")
}

/// Returns the processes that have this among their arguments, and whom they have started: each leads a
/// group.
fn labelled(label: &str) -> Vec<Process> {
    let all = runtime::process::all();
    let has_label = |process: Process| process.arguments().iter().any(|word| word == label);
    let named: Vec<Process> =
        all.iter().map(|living| living.process).filter(|process| has_label(*process)).collect();
    let leads = |group: u32| named.iter().any(|process| process.pid == group);
    let is_of_it = |living: &&Living| named.contains(&living.process) || leads(living.group);
    all.iter().filter(is_of_it).map(|living| living.process).collect()
}

impl From<Process> for Named {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, start_time: process.start_time }
    }
}

impl From<Named> for Process {
    fn from(named: Named) -> Self {
        Self { pid: named.pid, start_time: named.start_time }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold { path, .. } => write!(f, "lift the hold {}", path.display()),
            Self::GoOn(named) => write!(f, "let process {} go on", named.pid),
            Self::Leave(cgroup) => write!(f, "thaw and remove {cgroup}"),
            Self::Lift { id, .. } => write!(f, "lift the policy {id} of the WAN"),
            Self::Room { data } => write!(f, "give the server of {} room", data.display()),
            Self::Unmount { place } => write!(f, "unmount {}", place.display()),
            Self::Clock { path } => write!(f, "set the clock {} right", path.display()),
            Self::Etcd { aside } => {
                write!(f, "give etcd what it had, from {}", aside.display())
            }
            Self::Filter(filter) => write!(f, "remove {}", filter.told()),
            Self::End { label } => write!(f, "end the processes called {label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use topology::wire::fleet::Hold;

    use super::*;

    #[test]
    fn the_hold_of_another_run_is_let_be() {
        let path = std::env::temp_dir().join(format!("chaos-lift-{}.json", std::process::id()));
        let hold = Hold { until: u64::MAX, reason: "drill b".to_owned() };
        fs::write(&path, serde_json::to_vec(&hold).unwrap()).unwrap();
        let of = |run: &str| Undo::Hold { path: path.clone(), reason: format!("drill {run}") };
        assert_eq!(of("a").play().unwrap(), Undone::Before);
        assert!(path.exists());
        assert_eq!(of("b").play().unwrap(), Undone::Now);
        assert_eq!(of("b").play().unwrap(), Undone::Before);
    }

    #[test]
    fn nobody_is_let_go_with_half_of_what_was_exchanged() {
        let run_dir = std::env::temp_dir().join(format!("chaos-half-{}", std::process::id()));
        let aside = swap::folder(&run_dir).join(label_within("a-run", "wipe", Step::FIRST));
        let data = swap::folder(&run_dir).join("east");
        for folder in [&aside.join("east"), &data, &run_dir.join("holds")] {
            fs::create_dir_all(folder).unwrap();
        }
        let path = run_dir.join("holds/etcd@east.json");
        let reason = "drill a-run".to_owned();
        let hold = |until| serde_json::to_vec(&Hold { until, reason: reason.clone() }).unwrap();
        fs::write(&path, hold(hold::FOR_GOOD)).unwrap();
        swap::mark(&aside, "east").unwrap();
        swap::exchange(&aside, "east").unwrap();
        let undo = Undo::Hold { path: path.clone(), reason: reason.clone() };
        let refused = undo.play().unwrap_err().to_string();
        assert!(refused.starts_with("see etcd given what it had, from ") && path.exists());
        assert_eq!(Undo::Etcd { aside }.play().unwrap(), Undone::Now);
        assert_eq!(undo.play().unwrap(), Undone::Now);
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn what_a_helper_has_started_ends_with_it_and_another_actions_helper_goes_on() {
        use std::io::{BufRead as _, BufReader};
        use std::os::unix::process::CommandExt as _;
        use std::process::{Command, Stdio};

        let step = Step::FIRST;
        let name = |step| label(Path::new("/tmp/x"), "a-run", "fill it", step);
        let [one, other] = [step, step.next()].map(name);
        assert!(one.ends_with("-a-run-fill-it-0") && other.ends_with("-1"), "{one} {other}");
        let helper = |label: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 1000 & echo $!; wait", label]).stdout(Stdio::piped());
            let mut child = command.process_group(0).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let started = Process::with_pid(line.trim().parse().unwrap()).unwrap();
            (child, started)
        };
        let ((mut child, started), (mut spared, other_started)) = (helper(&one), helper(&other));
        assert_eq!(Undo::End { label: one.clone() }.play().unwrap(), Undone::Now);
        assert!(!started.is_alive() && other_started.is_alive());
        assert_eq!(Undo::End { label: one }.play().unwrap(), Undone::Before);
        assert_eq!(Undo::End { label: other }.play().unwrap(), Undone::Now);
        child.wait().unwrap();
        spared.wait().unwrap();
    }
}
