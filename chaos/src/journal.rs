//! The journal of a run: what is about to be done to the platform is on disk before it is done,
//! together with what takes it away again.
//!
//! ```text
//! intent ──(fsync)──▶ the fault ──▶ applied ──▶ … ──▶ reverted
//!    └── whoever finds it without "reverted" takes it away: it may have been applied
//! ```
//!
//! One line of JSON per record. Runner, guard and `chaos recover` append to it; whole lines, so
//! that they never mix. A last line cut short by a crash was never acted upon.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::clock::BootTime;
use serde::{Deserialize, Serialize};

use crate::drill::StopCondition;
use crate::process::Process;
use crate::undo::{Named, Undo, Undone};

const FILE: &str = "journal.jsonl";
/// A soak of an hour and a half writes a tenth of this; more is no journal of ours.
const SIZE_MAX: u64 = 64 << 20;

/// Numbers the intents of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Step(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(crate) enum Record {
    /// The first line: whose journal it is.
    Begun {
        run: String,
        boot: String,
        runner: Named,
        guard: Named,
    },
    /// Whom the guard asks for, and what it stops the drill for.
    Watching(Watching),
    /// For people: which fault, at what; and the cells that may notice.
    Injecting {
        what: String,
        #[serde(default)]
        cells: BTreeSet<String>,
    },
    /// The guard has stopped the drill.
    Stopped {
        why: String,
    },
    /// From here on it may have been done. It is taken away at `until`, nanoseconds of the
    /// boot-time clock, whoever lives.
    Intent {
        step: Step,
        until: u64,
        undo: Undo,
    },
    Applied {
        steps: Vec<Step>,
    },
    Reverted {
        step: Step,
        by: By,
    },
    /// The target was gone, or it had never been done.
    Gone {
        step: Step,
        by: By,
    },
    RevertFailed {
        step: Step,
        by: By,
        why: String,
    },
    /// Nothing is left to be taken away.
    Closed {
        by: By,
    },
}

/// What the guard looks at by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watching {
    /// Some users of each cell, with the cell.
    pub(crate) users: Vec<(String, String)>,
    pub(crate) conditions: Vec<StopCondition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    Runner,
    Guard,
    Recover,
}

/// A journal that is written to.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

/// What a journal says, in short.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) run: String,
    pub(crate) boot: String,
    pub(crate) runner: Option<Named>,
    pub(crate) guard: Option<Named>,
    pub(crate) watching: Option<Watching>,
    /// The cells that faults were aimed at; none before the first one.
    pub(crate) hit: Option<BTreeSet<String>>,
    pub(crate) stopped: Option<String>,
    /// What has not been taken away, in the order it was done.
    pub(crate) open: BTreeMap<Step, (u64, Undo)>,
    /// What is known to have been done.
    pub(crate) applied: BTreeSet<Step>,
    /// How many were intended, and are taken away.
    pub(crate) reverted: usize,
    /// Lines that mean nothing.
    pub(crate) cut_short: usize,
    pub(crate) is_closed: bool,
}

impl Journal {
    /// Makes the journal of a run.
    pub(crate) fn create(folder: &Path, begun: &Record) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let path = folder.join(FILE);
        let opened = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = opened.with_context(|| format!("make {}", path.display()))?;
        // The folder is new, too; one without a name beside it is in the current one.
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        for folder in std::iter::once(folder).chain(parent) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("write {} to disk", folder.display()))?;
        }
        let mut journal = Self { file, path };
        journal.append(std::slice::from_ref(begun))?;
        Ok(journal)
    }

    /// Opens the journal that somebody else has begun.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.with_context(|| format!("open {}", path.display()))?;
        Ok(Self { file, path })
    }

    /// Writes records, and returns once they are on disk.
    pub(crate) fn append(&mut self, records: &[Record]) -> anyhow::Result<()> {
        // A line cut short by a crash is not to swallow this one.
        let mut text = if ends_with_a_line(&self.path)? { Vec::new() } else { vec![b'\n'] };
        for record in records {
            serde_json::to_writer(&mut text, record).context("write a record")?;
            text.push(b'\n');
        }
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("write {}", self.path.display()))
    }

    /// Takes away what is due: everything that is open, the last first, or only what should have
    /// ended by `now`. One that cannot be taken away, or written down, does not keep the others;
    /// `after` is called after each.
    pub(crate) fn heal(
        &mut self,
        due: Due<'_>,
        by: By,
        mut after: impl FnMut(),
    ) -> anyhow::Result<Vec<String>> {
        let told = read(&self.path)?;
        let is_another_boot = told.boot != boot_id()?;
        // What is not there yet may come a moment later: the guard looks again.
        let runs = told.runner.is_some_and(|runner| Process::from(runner).is_alive());
        let may_come = |step| by == By::Guard && runs && !told.applied.contains(&step);
        let mut failed = Vec::new();
        for (step, (until, undo)) in told.open.iter().rev().map(|(step, due)| (*step, due)) {
            if !due.has_come(step, *until) {
                continue;
            }
            let played = if is_another_boot && undo.ends_with_the_machine() {
                Ok(Undone::Before)
            } else {
                undo.play()
            };
            let record = match played {
                Ok(Undone::Now) => Record::Reverted { step, by },
                Ok(Undone::Before) if may_come(step) => continue,
                Ok(Undone::Before) => Record::Gone { step, by },
                Err(err) => {
                    let why = format!("{undo}: {err:#}");
                    failed.push(why.clone());
                    Record::RevertFailed { step, by, why }
                }
            };
            if let Err(err) = self.append(&[record]) {
                failed.push(format!("write down what became of {undo}: {err:#}"));
            }
            after();
        }
        Ok(failed)
    }
}

/// Which faults are to be taken away.
#[derive(Clone, Copy)]
pub(crate) enum Due<'a> {
    All,
    /// Those whose time is over.
    By(BootTime),
    Steps(&'a BTreeSet<Step>),
}

impl Due<'_> {
    fn has_come(&self, step: Step, until: u64) -> bool {
        match self {
            Self::All => true,
            Self::By(now) => until <= now.as_nanos(),
            Self::Steps(steps) => steps.contains(&step),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Step {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Told {
    /// Returns when the first fault is to be taken away at the latest.
    pub(crate) fn first_due(&self) -> Option<BootTime> {
        self.open.values().map(|(until, _)| *until).min().map(BootTime::from_nanos)
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Begun { run, boot, runner, guard } => {
                (self.run, self.boot) = (run, boot);
                (self.runner, self.guard) = (Some(runner), Some(guard));
            }
            Record::Intent { step, until, undo } => {
                self.open.insert(step, (until, undo));
            }
            Record::Reverted { step, .. } | Record::Gone { step, .. } => {
                self.reverted += usize::from(self.open.remove(&step).is_some());
            }
            Record::Closed { .. } => self.is_closed = true,
            Record::Applied { steps } => self.applied.extend(steps),
            Record::Watching(watching) => self.watching = Some(watching),
            Record::Injecting { cells, .. } => self.hit.get_or_insert_default().extend(cells),
            Record::Stopped { why } => self.stopped = Some(why),
            Record::RevertFailed { .. } => {}
        }
    }
}

/// Returns what the journal of a folder says; `None` if the folder has none.
pub(crate) fn of(folder: &Path) -> anyhow::Result<Option<Told>> {
    let path = folder.join(FILE);
    if path.exists() { read(&path).map(Some) } else { Ok(None) }
}

/// Returns how long the journal of a folder is: it only grows.
pub(crate) fn length(folder: &Path) -> anyhow::Result<u64> {
    let path = folder.join(FILE);
    let found = fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?;
    Ok(found.len())
}

fn read(path: &Path) -> anyhow::Result<Told> {
    let size = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?.len();
    ensure!(size <= SIZE_MAX, "read {}: {size} bytes, at most {SIZE_MAX}", path.display());
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let mut told = Told::default();
    // By bytes: a line may have been cut short within a character.
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(record) => told.take(record),
            // Cut short: its writer died before anything of it was done.
            Err(_) => told.cut_short += 1,
        }
    }
    Ok(told)
}

fn ends_with_a_line(path: &Path) -> anyhow::Result<bool> {
    let mut last = [b'\n'];
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    // An empty file has no last byte to go to.
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(last == [b'\n'])
}

/// Returns the folders of runs whose journal is not closed.
pub(crate) fn left_open(drills: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(drills) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {}", drills.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.with_context(|| format!("list {}", drills.display()))?.path();
        if of(&folder)?.is_some_and(|told| !told.is_closed) {
            found.push(folder);
        }
    }
    found.sort();
    Ok(found)
}

/// Names this start of the machine: pids and cgroups mean nothing in another one.
pub(crate) fn boot_id() -> anyhow::Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(fs::read_to_string(path).with_context(|| format!("read {path}"))?.trim().to_owned())
}

/// Returns when something that begins now and lasts this long is over.
pub(crate) fn until(ttl: Duration) -> u64 {
    (BootTime::now() + ttl).as_nanos()
}

/// Returns the process this is, for a journal.
pub(crate) fn own() -> anyhow::Result<Named> {
    Process::own().map(Named::from).context("find this process in /proc")
}

#[cfg(test)]
mod tests;
