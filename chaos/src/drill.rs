//! A drill: what is broken, under which load, and what is claimed to hold meanwhile.
//!
//! Files use the Chaos Toolkit's words (`title`, `steady-state-hypothesis`, `method`, `pauses`,
//! probes with `tolerance`), plus `provider: {type: fault, …}` and the keys this page lists.

pub(crate) mod catalogue;
mod cut;
mod fault;
mod flap;
mod lines;
mod load;
mod offers;
mod offset;
mod read;
mod stop;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::Check;
use crate::fault::clock_offset;
use crate::fault::etcd::tools;
use crate::fault::restore;
use crate::metrics::{Measure, Value};
use crate::wan;

pub(crate) use cut::Cut;
pub(crate) use fault::{
    Choice, Death, EtcdMember, Fault, Lasting, Outage, Place, ProcessRole, Reach, Routers, Standbys,
};
pub(crate) use flap::Flap;
pub(crate) use lines::{Effect, Lines, Only, Others, Towards};
pub(crate) use load::{Arrivals, Load, Retries};
pub(crate) use offers::Offers;
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
    /// Parts of lines that logs may have, however grave: what the fault is known to lead to.
    pub(crate) allow_logs: Vec<String>,
    pub(crate) stop_conditions: Vec<StopCondition>,
    pub(crate) scope: Scope,
    pub(crate) seed: u64,
    pub(crate) validity: Validity,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Probe {
    /// Every cell serves, and every standby of it streams.
    Redundant { name: String },
    /// Control planes would move the cell that is hit although it serves.
    Settled { name: String },
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
    /// What users are to be told from when it is proven, until the next thing is done or all is healed.
    pub(crate) expect: Expect,
    /// What the control plane must say first of a cell that was hit already.
    pub(crate) when: Option<When>,
    /// The baseline's length; of later actions, the pause before them, from when those begin that are done
    /// at the same time.
    pub(crate) before: Duration,
    /// How long the platform is observed with the fault still on.
    pub(crate) after: Duration,
}

/// What becomes of users' requests under a fault, where all is as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expect {
    #[default]
    Serve,
    /// Nobody may write: that is said, and when to come again.
    RefuseWrites,
}

impl Expect {
    pub(crate) const ALL: [Self; 2] = [Self::Serve, Self::RefuseWrites];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::RefuseWrites => "refuse-writes",
        }
    }
}

/// An event to wait for: in the middle of what is going on then, the next thing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) event: String,
    pub(crate) within: Duration,
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
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Returns why it cannot be run on a platform at all; none if it can.
    pub(crate) fn lacks(&self, offers: Offers) -> Option<&'static str> {
        let needs =
            |what: fn(&Fault) -> bool| self.actions.iter().any(|action| what(&action.fault));
        if needs(Fault::needs_wan) && !offers.wan {
            Some(wan::WITHOUT)
        } else if needs(Fault::needs_clocks) && !offers.clocks {
            Some(clock_offset::WITHOUT)
        } else if needs(Fault::needs_snapshots) && !offers.snapshots {
            Some(tools::WITHOUT)
        } else if needs(Fault::needs_backups) && !offers.backups {
            Some(restore::WITHOUT)
        } else {
            None
        }
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
