//! One process of the fleet: planned, running or down.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::BootTime;
use topology::wire::fleet::{FleetProcess, FleetRole, Hold};
use tracing::{info, warn};

use crate::decide::plan::Planned;
use crate::decide::restart::{Backoff, may_start};
use crate::machine::Process;
use crate::run_dir::RunDir;

/// How long two processes may be one member: a successor gives up after 20 s without a routing table, and
/// a predecessor finishes what it has within another 20 s.
const REPLACING: Duration = Duration::from_secs(45);

pub(super) struct Member {
    planned: Planned,
    state: State,
    /// Still runs, while `state` is its successor: until that serves, and until what it has is done.
    predecessor: Option<Running>,
    upgrade_failed: bool,
    backoff: Backoff,
    starts: u32,
}

enum State {
    Running(Running),
    Down { due: BootTime },
}

struct Running {
    child: Child,
    process: Option<Process>,
    since: BootTime,
}

impl Running {
    fn new(child: Child, since: BootTime) -> Self {
        Self { process: Process::with_pid(child.id()), child, since }
    }
}

impl Member {
    pub(super) fn new(planned: Planned, now: BootTime) -> Self {
        let state = State::Down { due: now };
        let (predecessor, backoff) = (None, Backoff::default());
        Self { planned, state, predecessor, upgrade_failed: false, backoff, starts: 0 }
    }

    pub(super) fn planned(&self) -> &Planned {
        &self.planned
    }

    pub(super) fn name(&self) -> &str {
        &self.planned.name
    }

    pub(super) fn role(&self) -> FleetRole {
        self.planned.role
    }

    /// Returns the process, while it runs.
    pub(super) fn process(&self) -> Option<Process> {
        match &self.state {
            State::Running(running) => running.process,
            State::Down { .. } => None,
        }
    }

    /// Returns every process it has: two while one takes over from the other.
    pub(super) fn processes(&self) -> impl Iterator<Item = Process> {
        let predecessor = self.predecessor.as_ref().and_then(|running| running.process);
        self.process().into_iter().chain(predecessor)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_)) || self.predecessor.is_some()
    }

    pub(super) fn is_being_replaced(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Notes an exit nobody asked for, and when the process is due again. A successor that ends
    /// before its predecessor leaves that one in its place, and with it what is left to be upgraded.
    pub(super) fn reap(&mut self, now: BootTime) -> anyhow::Result<()> {
        self.reap_predecessor(now)?;
        if self.predecessor.is_some()
            && let Some((status, _)) = self.exited()?
        {
            // Should it have dismissed the old one before, that one ends soon, and is started anew.
            warn!(process = self.planned.name, %status, "successor exited; the old one is back");
            self.upgrade_failed = true;
            self.state = self.predecessor.take().map_or(State::Down { due: now }, State::Running);
        }
        if let Some((status, since)) = self.exited()? {
            let lived = now.since(since);
            let pause = self.backoff.after_exit(lived);
            warn!(process = self.planned.name, %status, ?lived, ?pause, "process exited");
            self.state = State::Down { due: now + pause };
        }
        Ok(())
    }

    /// Notes an exit that was asked for.
    pub(super) fn reap_stopped(&mut self, now: BootTime) -> anyhow::Result<()> {
        self.reap_predecessor(now)?;
        if let Some((status, _)) = self.exited()? {
            info!(process = self.planned.name, %status, "process stopped");
            self.state = State::Down { due: now };
        }
        Ok(())
    }

    /// Returns whether a successor has failed since this was last asked.
    pub(super) fn take_failed_upgrade(&mut self) -> bool {
        std::mem::take(&mut self.upgrade_failed)
    }

    /// Notes that a predecessor has finished what it had; one that does not is ended.
    fn reap_predecessor(&mut self, now: BootTime) -> anyhow::Result<()> {
        let Some(running) = &mut self.predecessor else { return Ok(()) };
        if let State::Running(successor) = &self.state
            && now.since(successor.since) > REPLACING
            && let Err(err) = running.child.kill()
        {
            warn!(process = self.planned.name, error = %err, "replaced process not ended");
        }
        let status = running.child.try_wait();
        if let Some(status) = status.with_context(|| format!("wait for {}", self.planned.name))? {
            info!(process = self.planned.name, %status, "replaced process exited");
            self.predecessor = None;
        }
        Ok(())
    }

    /// Returns how a running process has exited, and since when it ran.
    fn exited(&mut self) -> anyhow::Result<Option<(ExitStatus, BootTime)>> {
        let State::Running(Running { child, since, .. }) = &mut self.state else {
            return Ok(None);
        };
        let status = child.try_wait().with_context(|| format!("wait for {}", self.planned.name))?;
        Ok(status.map(|status| (status, *since)))
    }

    pub(super) fn is_due(&self, now: BootTime) -> bool {
        self.may_start(None, now)
    }

    pub(super) fn may_start(&self, hold: Option<&Hold>, now: BootTime) -> bool {
        match self.state {
            State::Running(_) => false,
            State::Down { due } => may_start(due, hold, now),
        }
    }

    pub(super) fn started(&mut self, child: Child, now: BootTime) {
        self.starts += 1;
        info!(
            process = self.planned.name,
            pid = child.id(),
            starts = self.starts,
            "process started"
        );
        self.state = State::Running(Running::new(child, now));
    }

    /// Notes a process that takes over from the one that runs.
    pub(super) fn succeeded_by(&mut self, child: Child, now: BootTime) {
        if let State::Running(old) = std::mem::replace(&mut self.state, State::Down { due: now }) {
            self.predecessor = Some(old);
        }
        self.started(child, now);
    }

    /// Notes that there was no process to be had, and when it is tried again.
    pub(super) fn not_started(&mut self, error: &anyhow::Error, now: BootTime) {
        let pause = self.backoff.after_exit(Duration::ZERO);
        warn!(process = self.planned.name, error = format!("{error:#}"), ?pause, "not started");
        self.state = State::Down { due: now + pause };
    }

    pub(super) fn line(&self, run_dir: &RunDir) -> FleetProcess {
        let process = self.process();
        FleetProcess {
            name: self.planned.name.clone(),
            role: self.planned.role,
            region: self.planned.region.as_ref().map(ToString::to_string),
            cell: self.planned.cell.as_ref().map(ToString::to_string),
            pid: process.map(|process| process.pid),
            start_time: process.map(|process| process.start_time),
            restarts: self.starts.saturating_sub(1),
            address: self.planned.address,
            log: run_dir.log(&self.planned.name).to_string_lossy().into_owned(),
        }
    }
}
