//! What makes a run heal whatever becomes of it: its journal, and the guard that reads it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use tokio::process::Command;

use crate::guard::Guard;
use crate::journal::{self, By, Due, Journal, Record, Step, Told, Watching};
use crate::undo::Undo;

/// The runner's side of a run's journal. Faults that are injected at the same time share it.
pub(crate) struct Safeguard {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    journal: Journal,
    next: Step,
    /// Intended, and not yet said to have been done.
    fresh: Vec<Step>,
}

impl Safeguard {
    /// Starts the guard, and begins the journal.
    pub(crate) async fn start(
        folder: &Path,
        run: &str,
        guard: Command,
        silence: Duration,
    ) -> anyhow::Result<(Self, Guard)> {
        let guard = Guard::start(guard, silence).await?;
        let (run, boot, runner) = (run.to_owned(), journal::boot_id()?, journal::own()?);
        let begun = Record::Begun { run, boot, runner, guard: guard.named() };
        let journal = Journal::create(folder, &begun)?;
        let state = Mutex::new(State { journal, next: Step::FIRST, fresh: Vec::new() });
        Ok((Self { folder: folder.to_owned(), state }, guard))
    }

    /// Returns the run directory that the run's folder is in, at `drills/RUN`.
    pub(crate) fn run_dir(&self) -> &Path {
        self.folder.ancestors().nth(2).unwrap_or(&self.folder)
    }

    /// Returns the number that what is intended next will have: what is made is named by it.
    pub(crate) fn upcoming(&self) -> Step {
        self.state().next
    }

    /// Has the guard look at users of cells that are not touched.
    pub(crate) fn watching(&self, watching: Watching) -> anyhow::Result<()> {
        self.state().journal.append(&[Record::Watching(watching)])
    }

    /// Notes what comes next, and the cells that may notice.
    pub(crate) fn injecting(&self, what: &str, cells: BTreeSet<String>) -> anyhow::Result<()> {
        self.state().journal.append(&[Record::Injecting { what: what.to_owned(), cells }])
    }

    /// Must be called before the fault is applied, with what takes it away again; it is taken away
    /// after `ttl`, whatever became of the drill.
    pub(crate) fn intend(&self, undo: Undo, ttl: Duration) -> anyhow::Result<Step> {
        let step = self.upcoming();
        self.intend_all([undo], ttl)?;
        Ok(step)
    }

    /// The same for several, at the price of one.
    pub(crate) fn intend_all(
        &self,
        undos: impl IntoIterator<Item = Undo>,
        ttl: Duration,
    ) -> anyhow::Result<BTreeSet<Step>> {
        let until = journal::until(ttl);
        let mut state = self.state();
        let mut records = Vec::new();
        let mut steps = BTreeSet::new();
        for undo in undos {
            let step = state.next;
            state.next = step.next();
            steps.insert(step);
            records.push(Record::Intent { step, until, undo });
        }
        state.fresh.extend(&steps);
        if !records.is_empty() {
            state.journal.append(&records)?;
        }
        Ok(steps)
    }

    /// Says that everything intended so far has been done.
    pub(crate) fn applied(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        let steps = std::mem::take(&mut state.fresh);
        if steps.is_empty() {
            return Ok(());
        }
        state.journal.append(&[Record::Applied { steps }])
    }

    /// Takes some faults away again.
    pub(crate) fn revert(&self, steps: &BTreeSet<Step>) -> anyhow::Result<()> {
        let failed = self.state().journal.heal(Due::Steps(steps), By::Runner, || ())?;
        match failed.into_iter().next() {
            None => Ok(()),
            Some(first) => bail!(first),
        }
    }

    /// Takes everything away; returns what could not be. `after` is called after each.
    pub(crate) fn heal(&self, after: impl FnMut()) -> anyhow::Result<Vec<String>> {
        self.state().journal.heal(Due::All, By::Runner, after)
    }

    /// Says that nothing is left, and returns what the journal says in the end.
    pub(crate) fn close(self) -> anyhow::Result<Told> {
        let told = journal::of(&self.folder)?.unwrap_or_default();
        if told.open.is_empty() && !told.is_closed {
            self.state().journal.append(&[Record::Closed { by: By::Runner }])?;
        }
        Ok(told)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
