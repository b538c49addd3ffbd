//! What the agent's tasks tell each other. Each value has one writer; all others watch.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime::clock::BootTime;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::agent::{BegunTimeline, Renewal, TenureLine, TenureName};
use topology::wire::report::SiteReport;
use topology::{Activation, Epoch, RegionId, Version};

use super::decide::pace::Pace;
use super::decide::right::Right;
use super::decide::tenure::Tenure;
use super::decide::voter::Voter;
use super::relay::Fork;
use super::successor::BegunElsewhere;
use crate::defect;

/// The cell's record, and the revision that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) cell: RoutedCell,
    /// What a conditional write compares.
    pub(crate) revision: u64,
    /// What decides which of two is newer.
    pub(crate) version: Version,
}

impl Known {
    #[must_use]
    pub(crate) fn activation(&self) -> &Activation {
        &self.cell.activation
    }
}

/// What the keeper says the site is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) tenure: Tenure,
    pub(crate) epoch: Epoch,
    /// Whether the epoch's barrier has been passed.
    pub(crate) open: bool,
    /// Whether enough voters replicate for a strong commit to come through.
    pub(crate) strong: bool,
    /// Whether the voters are so far behind that weak writes wait for them.
    pub(crate) lagging: bool,
    /// The right this site wants to hold, while it wants one.
    pub(crate) claim: Option<Claim>,
}

/// A right to be kept alive: which epoch, at which revision of the cell's record, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) epoch: Epoch,
    pub(crate) revision: u64,
    /// Whose promises count: the voters of every record that may be in force. One that leaves is
    /// not among them any more before the record says so.
    pub(crate) voters: BTreeSet<RegionId>,
    pub(crate) acks: usize,
}

impl Standing {
    /// From now on the lease is renewed under this record.
    pub(crate) fn follow(&mut self, known: &Known) {
        if let Some(claim) = &mut self.claim {
            claim.revision = known.revision;
        }
    }

    /// The same, where it is a later one of the claimed epoch. Returns whether it is.
    pub(crate) fn catch_up(&mut self, known: &Known) -> bool {
        let is_later = self.claim.as_ref().is_some_and(|claim| {
            claim.epoch == known.activation().epoch && claim.revision < known.revision
        });
        if is_later {
            self.follow(known);
        }
        is_later
    }
}

pub(crate) struct Shared {
    /// Written by `follow_cell`, and by the keeper after a change of its own.
    pub(crate) known: watch::Sender<Option<Known>>,
    /// Asks `follow_cell` to read at once.
    pub(crate) refresh: Notify,
    /// Written by the keeper.
    pub(crate) standing: watch::Sender<Standing>,
    /// Written by the keeper for who was elected, by the renewals and by the collected promises.
    pub(crate) right: watch::Sender<Right>,
    /// Written by the renewals: the last one that is being sent.
    pub(crate) renewal: watch::Sender<Renewal>,
    /// Written by the guard; what the site's services go by.
    pub(crate) tenure: watch::Sender<TenureLine>,
    /// Written by the guard: the last epoch whose right ran out.
    pub(crate) lapsed: watch::Sender<Epoch>,
    /// Written by the clock: whether the site is run in time.
    pub(crate) pace: watch::Sender<Pace>,
    /// Written by the keeper: why writes that only this site had are not kept yet.
    pub(crate) not_kept: watch::Sender<Option<String>>,
    /// Written by the reporter.
    pub(crate) report: watch::Sender<Option<SiteReport>>,
    /// Written by the keeper: the timeline that this site has begun.
    pub(crate) begun: watch::Sender<Option<BegunTimeline>>,
    /// Written by the keeper: the timeline that this site follows next.
    pub(crate) fork: watch::Sender<Option<Fork>>,
    /// Written by who asks ahead: the timeline that another site was last heard to have begun.
    pub(crate) begun_elsewhere: watch::Sender<Option<BegunElsewhere>>,
    /// Marked whenever a site has said that what was promised to it is over.
    pub(crate) released: watch::Sender<()>,
    voter: Mutex<Voter>,
}

impl Shared {
    #[must_use]
    pub(crate) fn new(voter: Voter) -> Self {
        let standing = Standing {
            tenure: Tenure::Standby,
            epoch: Epoch(0),
            open: false,
            strong: false,
            lagging: false,
            claim: None,
        };
        let line = TenureLine {
            tenure: TenureName::Standby,
            epoch: 0,
            valid_until: 0,
            open: false,
            strong: false,
            lagging: false,
        };
        Self {
            known: watch::channel(None).0,
            refresh: Notify::new(),
            standing: watch::channel(standing).0,
            right: watch::channel(Right::new(Epoch(0))).0,
            renewal: watch::channel(Renewal::default()).0,
            tenure: watch::channel(line).0,
            lapsed: watch::channel(Epoch(0)).0,
            pace: watch::channel(Pace::new(Instant::now())).0,
            not_kept: watch::channel(None).0,
            report: watch::channel(None).0,
            begun: watch::channel(None).0,
            fork: watch::channel(None).0,
            begun_elsewhere: watch::channel(None).0,
            released: watch::channel(()).0,
            voter: Mutex::new(voter),
        }
    }

    /// Takes a newer record; an older one, or one of an earlier epoch, changes nothing (I2).
    pub(crate) fn learn(&self, offered: Known) {
        self.known.send_if_modified(|known| {
            let newer = known.as_ref().is_none_or(|known| {
                offered.version > known.version
                    && offered.activation().epoch >= known.activation().epoch
            });
            if newer {
                *known = Some(offered);
            }
            newer
        });
    }

    /// A site says that it has stopped serving under `epoch`.
    pub(crate) fn release(&self, from: &RegionId, epoch: Epoch) {
        self.voter().release(from, epoch);
        self.released.send_replace(());
    }

    /// Held for a few lines, never across a wait.
    pub(crate) fn voter(&self) -> MutexGuard<'_, Voter> {
        self.voter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns until when the site may acknowledge under the claimed epoch.
    #[must_use]
    pub(crate) fn valid_until(&self) -> BootTime {
        let standing = self.standing.borrow();
        let right = self.right.borrow();
        match &standing.claim {
            Some(claim) if claim.epoch == right.epoch() => {
                defect::until(right.until(&claim.voters, claim.acks))
            }
            Some(_) | None => BootTime::default(),
        }
    }
}
