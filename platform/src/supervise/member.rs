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

pub(super) struct Member {
    planned: Planned,
    state: State,
    backoff: Backoff,
    starts: u32,
}

enum State {
    Running { child: Child, process: Option<Process>, since: BootTime },
    Down { due: BootTime },
}

impl Member {
    pub(super) fn new(planned: Planned, now: BootTime) -> Self {
        Self { planned, state: State::Down { due: now }, backoff: Backoff::default(), starts: 0 }
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
            State::Running { process, .. } => *process,
            State::Down { .. } => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Notes an exit nobody asked for, and when the process is due again.
    pub(super) fn reap(&mut self, now: BootTime) -> anyhow::Result<()> {
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
        if let Some((status, _)) = self.exited()? {
            info!(process = self.planned.name, %status, "process stopped");
            self.state = State::Down { due: now };
        }
        Ok(())
    }

    /// Returns how a running process has exited, and since when it ran.
    fn exited(&mut self) -> anyhow::Result<Option<(ExitStatus, BootTime)>> {
        let State::Running { child, since, .. } = &mut self.state else { return Ok(None) };
        let status = child.try_wait().with_context(|| format!("wait for {}", self.planned.name))?;
        Ok(status.map(|status| (status, *since)))
    }

    pub(super) fn is_due(&self, now: BootTime) -> bool {
        self.may_start(None, now)
    }

    pub(super) fn may_start(&self, hold: Option<&Hold>, now: BootTime) -> bool {
        match self.state {
            State::Running { .. } => false,
            State::Down { due } => may_start(due, hold, now),
        }
    }

    pub(super) fn started(&mut self, child: Child, now: BootTime) {
        let process = Process::with_pid(child.id());
        self.starts += 1;
        info!(
            process = self.planned.name,
            pid = child.id(),
            starts = self.starts,
            "process started"
        );
        self.state = State::Running { child, process, since: now };
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
            address: Some(self.planned.address),
            log: run_dir.log(&self.planned.name).to_string_lossy().into_owned(),
        }
    }
}
