//! A drill: what is broken, under which load, and what is claimed to hold meanwhile.
//!
//! Files use the Chaos Toolkit's words (`title`, `steady-state-hypothesis`, `method`, `pauses`,
//! probes with `tolerance`), plus `provider: {type: fault, …}` and the keys this page lists.

pub(crate) mod catalogue;
mod cut;
mod late;
mod lines;
mod offset;
mod read;
mod stop;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use topology::{CellId, RegionId};

use crate::check::Check;
use crate::history::Kind;
use crate::metrics::{Measure, Value};
use crate::wan;

pub(crate) use cut::Cut;
pub(crate) use late::Late;
pub(crate) use lines::{Effect, Lines, Only, Others, Towards};
pub(crate) use offset::Offset;
pub(crate) use stop::StopCondition;
pub(crate) use yaml::Finding;

/// A fault that is forgotten ends after this.
const TTL_MAX: Duration = Duration::from_mins(15);
/// Injecting and verifying come before the time that is observed.
const TTL_MARGIN: Duration = Duration::from_mins(1);
/// The tokens of a drill's users are valid for longer.
const REPEAT_MAX: Duration = Duration::from_mins(90);

/// A drill as meant. Cannot be wrong: it only comes out of [`Drill::parse`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drill {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// What must hold before anything is broken, and again in the end.
    pub(crate) steady_state: Vec<Probe>,
    /// What is done to the platform, in order; never empty.
    pub(crate) actions: Vec<Action>,
    /// The same again and again, instead of once.
    pub(crate) repeat: Option<Repeat>,
    /// How long the load goes on after everything was healed and whole again.
    pub(crate) after_heal: Duration,
    pub(crate) load: Load,
    /// Exceeding one fails the drill.
    pub(crate) limits: BTreeMap<Measure, Value>,
    /// Exceeding one is a warning.
    pub(crate) goals: BTreeMap<Measure, Value>,
    pub(crate) checks: Vec<Check>,
    pub(crate) stop_conditions: Vec<StopCondition>,
    pub(crate) scope: Scope,
    pub(crate) seed: u64,
    pub(crate) validity: Validity,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Probe {
    /// Every cell serves, and every standby of it streams.
    Redundant { name: String },
    /// At least this share of the baseline's requests was answered well.
    OkRatio { name: String, at_least: f64 },
}

/// The actions in turn, one each so often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub(crate) lasting: Duration,
    pub(crate) every: Duration,
    pub(crate) aim: Aim,
}

/// Whom a repeated action hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Each time whomever the seed names.
    Anew,
    /// The same cell each time.
    Same,
}

/// One thing that is done to the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) fault: Fault,
    /// After this the platform heals by itself, whatever became of the drill.
    pub(crate) ttl: Duration,
    /// How soon the fault must be proven.
    pub(crate) verify_within: Duration,
    /// Whether the next one is done at the same time.
    pub(crate) is_together: bool,
    /// What the control plane must say first of a cell that was hit already.
    pub(crate) when: Option<When>,
    /// The baseline's length; of later actions, the pause before them, from when those begin that are done
    /// at the same time.
    pub(crate) before: Duration,
    /// How long the platform is observed with the fault still on.
    pub(crate) after: Duration,
}

/// An event to wait for: in the middle of what is going on then, the next thing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) event: String,
    pub(crate) within: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL one process of a cell's active site; whoever supervises it starts it again.
    ProcessKill { cell: Choice<CellId>, role: ProcessRole },
    /// SIGSTOP one process of a cell's active site, until healed.
    ProcessFreeze { cell: Choice<CellId>, role: ProcessRole },
    /// SIGKILL everything of one of a cell's sites, and keep it down.
    SiteKill { cell: Choice<CellId>, site: Place },
    /// Everything of a cell's active site stands still, until healed.
    SiteFreeze { cell: Choice<CellId> },
    /// A cell's active site answers so much later, until healed; its agent does not.
    SiteSlow { cell: Choice<CellId>, by: Duration },
    /// Everything of a cell's active PostgreSQL stands still for a moment.
    PostgresStall { cell: Choice<CellId>, lasting: Lasting },
    /// A cell's active site sends its standbys nothing for a moment, while the next thing is done.
    ReplicationStall { cell: Choice<CellId>, lasting: Lasting },
    /// SIGKILL everything of a region, and keep it down.
    RegionKill { region: Choice<RegionId>, death: Death },
    /// Do something to the lines between a region and the others.
    Net { region: Choice<RegionId>, lines: Lines, effect: Effect },
    /// Move a cell by plan, as an operator would.
    Switchover { cell: Choice<CellId>, to: Choice<RegionId> },
    /// Move every cell out of a region by plan, and let them come home again.
    Evacuate { region: Choice<RegionId> },
    /// SIGKILL members of etcd, and keep them down.
    EtcdKill { member: EtcdMember },
    /// SIGKILL etcd's leader; whoever supervises it starts it again.
    EtcdLeaderKill,
    /// SIGSTOP etcd's leader, until healed.
    EtcdFreeze,
    /// SIGKILL control planes, all or one region's, and keep them down.
    ControlPlaneKill { region: Option<RegionId> },
    /// One region's control plane reaches little beyond its region, until healed.
    ControlPlaneBlind { region: Choice<RegionId>, reach: Reach },
    /// SIGKILL routers; whoever supervises them starts them again.
    RouterKill { routers: Routers },
    /// One router hears nothing of etcd and the control planes, until healed.
    RouterStale,
    /// Everything of a cell's active site has this share of one processor, until healed.
    CpuStarve { cell: Choice<CellId>, percent: u8 },
    /// Of the answers to writes of a cell's active site a share is cut off, until healed.
    NetStream { cell: Choice<CellId>, cut: Cut, percent: u8 },
    /// A cell's active PostgreSQL has no room to write in, until healed.
    DiskFull { cell: Choice<CellId> },
    /// A cell's active PostgreSQL writes to its disk so many times a second at most, until healed.
    DiskSlow { cell: Choice<CellId>, writes: u32 },
    /// The wall clock of a cell's active site is wrong, until healed.
    ClockOffset { cell: Choice<CellId>, offset: Offset },
    /// Any one process of the platform stands still for a moment.
    ProcessPause { lasting: Lasting },
}

impl Fault {
    pub(crate) const KINDS: [&str; 29] = [
        "process.kill",
        "process.freeze",
        "process.pause",
        "site.kill",
        "site.freeze",
        "site.slow",
        "postgres.stall",
        "replication.stall",
        "region.kill",
        "switchover",
        "evacuate",
        "etcd.kill",
        "etcd.leader-kill",
        "etcd.leader-freeze",
        "control-plane.kill",
        "control-plane.blind",
        "router.kill",
        "router.stale",
        "cpu.starve",
        "clock.offset",
        "disk.full",
        "disk.slow",
        "net.partition",
        "net.one-way-connect",
        "net.latency",
        "net.loss",
        "net.rate",
        "net.cut-established",
        "net.stream",
    ];

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ProcessKill { .. } => "process.kill",
            Self::ProcessFreeze { .. } => "process.freeze",
            Self::ProcessPause { .. } => "process.pause",
            Self::SiteKill { .. } => "site.kill",
            Self::SiteFreeze { .. } => "site.freeze",
            Self::SiteSlow { .. } => "site.slow",
            Self::PostgresStall { .. } => "postgres.stall",
            Self::ReplicationStall { .. } => "replication.stall",
            Self::RegionKill { .. } => "region.kill",
            Self::Switchover { .. } => "switchover",
            Self::Evacuate { .. } => "evacuate",
            Self::EtcdKill { .. } => "etcd.kill",
            Self::EtcdLeaderKill => "etcd.leader-kill",
            Self::EtcdFreeze => "etcd.leader-freeze",
            Self::ControlPlaneKill { .. } => "control-plane.kill",
            Self::ControlPlaneBlind { .. } => "control-plane.blind",
            Self::RouterKill { .. } => "router.kill",
            Self::RouterStale => "router.stale",
            Self::CpuStarve { .. } => "cpu.starve",
            Self::ClockOffset { .. } => "clock.offset",
            Self::DiskFull { .. } => "disk.full",
            Self::DiskSlow { .. } => "disk.slow",
            Self::NetStream { .. } => "net.stream",
            Self::Net { effect, .. } => effect.kind(),
        }
    }
}

impl Fault {
    /// How it ends when it is healed, for people.
    pub(crate) fn taken_away(&self) -> &'static str {
        match self {
            Self::ProcessKill { .. } | Self::EtcdLeaderKill | Self::RouterKill { .. } => {
                "by whoever supervises it"
            }
            Self::ProcessFreeze { .. } | Self::SiteFreeze { .. } | Self::EtcdFreeze => {
                "by letting it go on"
            }
            Self::DiskFull { .. } => "by giving it room again",
            Self::ClockOffset { .. } => "by setting the clock right",
            Self::CpuStarve { .. } | Self::DiskSlow { .. } => "by taking the limit away",
            Self::ProcessPause { .. }
            | Self::PostgresStall { .. }
            | Self::ReplicationStall { .. } => "by itself, a moment later",
            Self::SiteKill { .. }
            | Self::RegionKill { .. }
            | Self::ControlPlaneKill { .. }
            | Self::EtcdKill { .. } => "by lifting the holds",
            Self::Net { effect: Effect::CutEstablished, .. } => "by opening new connections",
            Self::Net { .. } => "by lifting the policy of the WAN",
            Self::RouterStale
            | Self::ControlPlaneBlind { .. }
            | Self::NetStream { .. }
            | Self::SiteSlow { .. } => "by removing the packet filter",
            Self::Switchover { .. } => "by nobody: it is no fault",
            Self::Evacuate { .. } => "by restoring the region, which is part of it",
        }
    }

    /// Whether the platform must be on an emulated WAN.
    fn needs_wan(&self) -> bool {
        matches!(self, Self::Net { .. } | Self::RegionKill { death: Death::Silent, .. })
    }
}

/// What others hear of a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The kernel ends every connection for the dead.
    Crash,
    /// Nothing: packets are dropped first, as when the power goes.
    Silent,
}

/// What a control plane is left with, besides its own region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything but the sites.
    Etcd,
    Region,
}

impl Reach {
    pub(crate) const ALL: [Self; 2] = [Self::Etcd, Self::Region];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Region => "region",
        }
    }
}

/// Which of a cell's sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Active,
    /// One of its standbys, by the seed.
    Standby,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routers {
    One,
    /// The next one once the last one is started again.
    EachInTurn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EtcdMember {
    Leader,
    All,
    Of(RegionId),
}

/// A time between these two, by the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lasting {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

/// `auto` is settled at injection, by the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice<T> {
    Auto,
    Named(T),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessRole {
    Postgres,
    Agent,
    Session,
    Nlp,
    Knowledge,
    Ticket,
}

impl ProcessRole {
    pub(crate) const ALL: [(&str, Self); 6] = [
        ("postgres", Self::Postgres),
        ("agent", Self::Agent),
        ("session", Self::Session),
        ("nlp", Self::Nlp),
        ("knowledge", Self::Knowledge),
        ("ticket", Self::Ticket),
    ];

    pub(crate) fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, role)| *role == self);
        named.map_or("", |(name, _)| name)
    }
}

/// Open loop: requests are sent when they are due, whatever became of earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) arrivals: Arrivals,
    /// Requests per second, all users together.
    pub(crate) rate: f64,
    pub(crate) users: usize,
    /// How many requests of each kind there are among as many as all shares together.
    pub(crate) mix: BTreeMap<Kind, u32>,
    pub(crate) request_timeout: Duration,
    /// Beyond it a request is recorded as dropped, which counts as failed.
    pub(crate) max_in_flight: usize,
    /// What users do about a request that was not answered well; nothing, unless the drill says so.
    pub(crate) retries: Option<Retries>,
}

/// How users ask again, until they have waited for as long as for one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Retries {
    /// How often they ask at most, the first time included.
    pub(crate) tries: u32,
    /// The longest pause before the second try; it doubles with each.
    pub(crate) backoff: Duration,
    /// How many there may be for each request, all users together.
    pub(crate) budget: f64,
}

impl Load {
    /// Returns whether there are requests of this kind.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.mix.get(&kind).is_some_and(|share| *share > 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrivals {
    Poisson,
    Constant,
}

/// What may be broken at most, checked before anything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) max_cells: usize,
    pub(crate) max_regions: usize,
    /// The only environment it is for, if it is for one only.
    pub(crate) environment: Option<String>,
}

/// When a run proves anything at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) min_ops_before: usize,
    pub(crate) min_ops_in_window: usize,
    pub(crate) max_generator_lag_p99: Duration,
}

impl Drill {
    /// Returns why it cannot be run on a platform at all; none if it can.
    pub(crate) fn lacks(&self, is_emulated: bool) -> Option<&'static str> {
        let needs_wan = self.actions.iter().any(|action| action.fault.needs_wan());
        (needs_wan && !is_emulated).then_some(wan::WITHOUT)
    }

    /// Reads a drill and returns everything wrong with it, not just the first thing.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Vec<Finding>> {
        read::read(name, text)
    }

    /// Sets how long the fault is on, or how long it is repeated; says so where that is too long.
    pub(crate) fn last(&mut self, lasting: Duration) -> Result<(), String> {
        if let Some(repeat) = &mut self.repeat {
            if lasting > REPEAT_MAX {
                return Err(format!("at most {} minutes", REPEAT_MAX.as_secs() / 60));
            }
            repeat.lasting = lasting;
            return Ok(());
        }
        // Those before the last stay on until then, too.
        let ttl = lasting + TTL_MARGIN;
        if ttl > TTL_MAX {
            let most = TTL_MAX.saturating_sub(TTL_MARGIN);
            return Err(format!("at most {} minutes", most.as_secs() / 60));
        }
        for action in &mut self.actions {
            action.ttl = action.ttl.max(ttl);
        }
        if let Some(action) = self.actions.last_mut() {
            action.after = lasting;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
