//! Breaks things on purpose: one fault per file; each resolves its target when it is injected,
//! proves that it took effect, and is undone by lifting the holds.

pub(crate) mod hold;
mod process_kill;
mod refuses;
mod region_kill;
mod site_kill;
mod switchover;
pub(crate) mod target;

use std::collections::BTreeMap;
use std::time::Duration;

use topology::{CellId, RegionId};

use crate::control_plane::ControlPlane;
use crate::drill::Action;
use crate::history::Clock;
use crate::platform::Platform;

pub(crate) use hold::Holds;
pub(crate) use target::Target;

/// What was done, to whom, and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) kind: &'static str,
    /// What it was aimed at, for people: `region east`, `c1@east`.
    pub(crate) target: String,
    /// The cells it was aimed at, and where they were active.
    pub(crate) cells: BTreeMap<CellId, Option<RegionId>>,
    /// When it began to take effect …
    pub(crate) begun: Duration,
    /// … and was complete.
    pub(crate) ended: Duration,
    /// Each thing done, as it was done.
    pub(crate) steps: Vec<(Duration, String)>,
    /// What proves it.
    pub(crate) proof: Vec<String>,
}

/// What a fault works with.
pub(crate) struct Bench<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) control_plane: &'a ControlPlane,
    pub(crate) clock: Clock,
    pub(crate) action: &'a Action,
}

/// Injects the fault, and verifies it. `injection` is told each step as it is taken: what was done
/// before a failure was done all the same.
pub(crate) async fn inject(
    bench: &Bench<'_>,
    target: &Target,
    holds: &mut Holds,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    injection.kind = bench.action.fault.kind();
    injection.target = target.to_string();
    injection.cells = target.cells();
    match target {
        Target::Process { site, role } => process_kill::inject(bench, site, *role, injection).await,
        Target::Site(site) => site_kill::inject(bench, site, holds, injection).await,
        Target::Region { region, .. } => region_kill::inject(bench, region, holds, injection).await,
        Target::Switchover { cell, to, .. } => switchover::inject(bench, cell, to, injection).await,
    }
}

impl Injection {
    fn begin(&mut self, clock: &Clock) {
        self.begun = clock.now();
        self.ended = self.begun;
    }

    fn step(&mut self, clock: &Clock, step: impl Into<String>) {
        self.ended = clock.now();
        self.steps.push((self.ended, step.into()));
    }
}
