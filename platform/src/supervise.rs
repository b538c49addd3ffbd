//! Keeps every planned process running, and stops them in order.

mod member;
mod stop;

use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::BootTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use topology::wire::fleet::{Fleet, FleetRole, Hold};
use tracing::{info, warn};

use crate::decide::plan::Planned;
use crate::launch::{self, Start};
use crate::run_dir::RunDir;
use member::Member;

pub(crate) use stop::{END_PATIENCE, PATIENCE as STOP_PATIENCE};

/// How soon a hold that was lifted, or a pause that is over, is noticed.
const LOOK: Duration = Duration::from_millis(200);
/// How a router is told to take over from the one with its name.
const REPLACE: &[&str] = &["--replace"];
/// Anybody may read where everything runs.
const FLEET_MODE: u32 = 0o644;

pub(crate) struct Supervisor {
    start: Start,
    members: Vec<Member>,
    /// As last written.
    written: Option<Fleet>,
    /// Routers that are to be replaced, in turn.
    upgrades: VecDeque<String>,
}

impl Supervisor {
    pub(crate) fn new(start: Start, planned: Vec<Planned>) -> Self {
        let now = BootTime::now();
        let members = planned.into_iter().map(|planned| Member::new(planned, now)).collect();
        Self { start, members, written: None, upgrades: VecDeque::new() }
    }

    /// Runs the fleet until asked to stop, then stops it; returns with nothing left running.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut exits = signal(SignalKind::child()).context("listen for the exit of children")?;
        let mut upgrade = signal(SignalKind::user_defined2()).context("listen for an upgrade")?;
        for member in &self.members {
            launch::rotate(&self.start.run_dir.log(member.name()))?;
        }
        let outcome = loop {
            if let Err(err) = self.look() {
                break Err(err);
            }
            tokio::select! {
                _ = exits.recv() => {}
                _ = upgrade.recv() => self.plan_upgrade(),
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => break Ok(()),
            }
        };
        stop::all(&mut self.members, &mut self.start.inits, &self.start.run_dir).await;
        self.write_fleet()?;
        outcome
    }

    /// Notes who exited and starts who is due.
    fn look(&mut self) -> anyhow::Result<()> {
        let now = BootTime::now();
        for member in &mut self.members {
            member.reap(now)?;
        }
        // An init has ended once all who lived with it have been waited for.
        self.start.inits.renew(&self.start.programs.platform, now);
        for member in &mut self.members {
            if member.is_due(now)
                && member.may_start(hold(&self.start.run_dir, member.name()).as_ref(), now)
            {
                match self.start.start(member.planned(), &[]) {
                    Ok(child) => member.started(child, now),
                    // A machine short of processes or memory is no reason to end all the others.
                    Err(err) => member.not_started(&err, now),
                }
            }
        }
        self.upgrade_next(now);
        self.write_fleet()
    }

    /// Notes every router, once.
    fn plan_upgrade(&mut self) {
        let routers = self.members.iter().filter(|member| member.role() == FleetRole::Router);
        self.upgrades = routers.map(|member| member.name().to_owned()).collect();
        info!(routers = self.upgrades.len(), "upgrade asked for");
    }

    /// Starts the next successor, when the one before has taken over.
    fn upgrade_next(&mut self, now: BootTime) {
        if self.members.iter_mut().any(Member::take_failed_upgrade) {
            self.upgrades.clear();
        }
        if self.upgrades.is_empty() || self.members.iter().any(Member::is_being_replaced) {
            return;
        }
        let next = self.upgrades.pop_front();
        let member = self.members.iter_mut().find(|member| Some(member.name()) == next.as_deref());
        // One that is down is started as the program is now in any case.
        if let Some(member) = member.filter(|member| member.is_running()) {
            match self.start.start(member.planned(), REPLACE) {
                Ok(child) => member.succeeded_by(child, now),
                Err(err) => {
                    let error = format!("{err:#}");
                    warn!(process = member.name(), error, "successor not started");
                }
            }
        }
    }

    fn write_fleet(&mut self) -> anyhow::Result<()> {
        let fleet = Fleet {
            supervisor: std::process::id(),
            spec: self.start.run_dir.spec().to_string_lossy().into_owned(),
            processes: self.members.iter().map(|member| member.line(&self.start.run_dir)).collect(),
            namespaces: self.start.namespaces.lines(),
            inits: self.start.inits.lines(),
        };
        if self.written.as_ref() == Some(&fleet) {
            return Ok(());
        }
        let path = self.start.run_dir.fleet();
        let text = serde_json::to_vec_pretty(&fleet).context("write the fleet as JSON")?;
        runtime::file::replace(&path, &text, FLEET_MODE)
            .with_context(|| format!("write {}", path.display()))?;
        self.written = Some(fleet);
        Ok(())
    }
}

/// Reads the hold of a process. One that cannot be understood holds nothing: a drill that writes
/// such must not keep a process down for ever.
fn hold(run_dir: &RunDir, process: &str) -> Option<Hold> {
    let path = run_dir.hold(process);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return None,
        Err(err) => {
            warn!(path = %path.display(), error = %err, "hold cannot be read");
            return None;
        }
    };
    match serde_json::from_slice(&text) {
        Ok(hold) => Some(hold),
        Err(err) => {
            warn!(path = %path.display(), error = %err, "hold cannot be understood");
            None
        }
    }
}
