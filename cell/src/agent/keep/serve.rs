//! Goes on serving: keeps the standbys that count those that are there, and passes the barrier where
//! the epoch was opened without it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runtime::clock::BootTime;
use tokio::time::{Instant, MissedTickBehavior, interval};
use topology::{Epoch, RegionId, SiteId};
use tracing::{info, warn};

use super::record::{Recorded, Recording, outcome, record};
use super::{Done, Tools, open};
use crate::agent::decide::lag::Lag;
use crate::agent::decide::sync_set::{self, Look, Standby, Step};
use crate::agent::postgres::{Replication, standby_name};
use crate::agent::shared::Known;

/// How often the standbys are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long too few standbys may be there before strong writes are refused: one that reconnects is
/// back within a few tenths of a second.
const BLINK: Duration = Duration::from_secs(1);

struct Serving {
    tools: Tools,
    epoch: Epoch,
    others: BTreeSet<RegionId>,
    /// When each of the others last streamed.
    seen: BTreeMap<RegionId, Instant>,
    sampled: Option<u64>,
    /// What PostgreSQL waited for at the last look.
    named: BTreeSet<RegionId>,
    /// The record that somebody else has replaced: no step is taken by it any more.
    outdated: Option<u64>,
    strong_at: Instant,
    lag: Lag,
}

/// Runs while the role lasts; ends only with an error of the database, and is begun again then.
pub(super) async fn serve(tools: Tools, epoch: Epoch) -> anyhow::Result<Done> {
    let is_open = tools.shared.standing.borrow().open;
    let mut serving = Serving::new(tools.clone(), epoch);
    let opened = async {
        if !is_open {
            pass_barrier(&tools, epoch).await;
        }
        std::future::pending::<anyhow::Result<Done>>().await
    };
    tokio::select! {
        ended = opened => ended,
        ended = serving.tend() => ended,
    }
}

/// Tries until the barrier is passed. A try that fails ends nothing else: a change of voters that is
/// under way has to be brought to its end.
async fn pass_barrier(tools: &Tools, epoch: Epoch) {
    while let Err(err) = open::barrier(tools, epoch).await {
        warn!(%epoch, error = format!("{err:#}"), "barrier not passed yet");
        tokio::time::sleep(BLINK).await;
    }
    info!(%epoch, "barrier passed");
    tools.shared.standing.send_modify(|standing| standing.open = true);
}

impl Serving {
    fn new(tools: Tools, epoch: Epoch) -> Self {
        let me = &tools.site.id;
        let sites =
            tools.site.spec.cell(&me.cell).into_iter().flat_map(topology::spec::Cell::regions);
        let others: BTreeSet<RegionId> =
            sites.filter(|region| **region != me.region).cloned().collect();
        let now = Instant::now();
        Self {
            seen: others.iter().map(|region| (region.clone(), now)).collect(),
            tools,
            epoch,
            others,
            sampled: None,
            named: BTreeSet::new(),
            outdated: None,
            strong_at: now,
            lag: Lag::default(),
        }
    }

    async fn tend(&mut self) -> anyhow::Result<Done> {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recording: Option<Recording> = None;
        loop {
            tokio::select! {
                biased;
                recorded = outcome(&mut recording) => {
                    self.recorded(recorded?);
                    continue;
                }
                _ = ticks.tick() => {}
            }
            let Some(known) = self.own_record() else { continue };
            let seen = self.tools.postgres.sql.replication().await?;
            let Some(step) = self.look(&known, &seen) else { continue };
            // Until the outcome is known nobody is named: only who is in both records may count.
            if recording.is_some() {
                continue;
            }
            match step {
                Step::Name(names) => self.name_them(&names, &known)?,
                Step::Sample => self.sampled = Some(seen.flushed),
                Step::Record(voters) => {
                    let tools = self.tools.clone();
                    recording = Some(Box::pin(record(tools, self.epoch, known, voters)));
                }
                Step::Read => self.tools.shared.refresh.notify_one(),
            }
        }
    }

    fn recorded(&mut self, recorded: Recorded) {
        let shared = &self.tools.shared;
        if let Some(known) = recorded.now {
            shared.learn(known);
        } else {
            self.outdated = Some(recorded.before);
            shared.refresh.notify_one();
        }
    }

    /// Returns the record under which this site serves, and renews the lease by it.
    fn own_record(&self) -> Option<Known> {
        let known = self.tools.shared.known.borrow().clone()?;
        let activation = known.activation();
        let me = &self.tools.site.id.region;
        if activation.epoch != self.epoch || activation.serving() != Some(me) {
            return None;
        }
        self.tools.shared.standing.send_if_modified(|standing| match &mut standing.claim {
            Some(claim) if claim.epoch == self.epoch && claim.revision != known.revision => {
                claim.revision = known.revision;
                claim.voters.clone_from(&activation.voters);
                true
            }
            Some(_) | None => false,
        });
        Some(known)
    }

    fn look(&mut self, known: &Known, seen: &Replication) -> Option<Step> {
        let now = Instant::now();
        let standbys = self.standbys(seen);
        self.seen.extend(standbys.keys().map(|region| (region.clone(), now)));
        let away: BTreeMap<RegionId, Duration> =
            self.seen.iter().map(|(region, at)| (region.clone(), now - *at)).collect();
        let named = self.named(seen);
        if self.named != named {
            self.named = named;
            self.sampled = None;
        }
        let look = Look {
            recorded: &known.activation().voters,
            is_replaced: self.outdated == Some(known.revision),
            named: &self.named,
            acks: known.activation().acks,
            others: &self.others,
            retired: &known.activation().retired,
            standbys: &standbys,
            away: &away,
            sampled: self.sampled,
        };
        let (strong, kept) = (look.is_strong(), look.kept());
        let step = sync_set::next(&look);
        self.tell(strong, now);
        // One that has only just connected has not said yet how far it is.
        self.lag.saw(seen.flushed, kept.filter(|kept| *kept > 0), BootTime::now());
        self.tell_lag();
        step
    }

    /// Returns the sites that stream under this epoch's names.
    fn standbys(&self, seen: &Replication) -> BTreeMap<RegionId, Standby> {
        let of = |region: &RegionId| {
            let standby = seen.standbys.get(&self.name(region))?;
            let lag = seen.flushed.saturating_sub(standby.flushed);
            let standby = Standby { counted: standby.counted, flushed: standby.flushed, lag };
            Some((region.clone(), standby))
        };
        self.others.iter().filter_map(of).collect()
    }

    /// Returns whom PostgreSQL waits for: what the postmaster has taken over, not what was written.
    fn named(&self, seen: &Replication) -> BTreeSet<RegionId> {
        let named = |region: &&RegionId| seen.names.contains(&format!("\"{}\"", self.name(region)));
        self.others.iter().filter(named).cloned().collect()
    }

    fn name(&self, region: &RegionId) -> String {
        let cell = self.tools.site.id.cell.clone();
        standby_name(&SiteId { cell, region: region.clone() }, self.epoch)
    }

    /// Says whether strong writes would come through: at once when they would, after a blink when
    /// they would not.
    fn tell(&mut self, strong: bool, now: Instant) {
        if strong {
            self.strong_at = now;
        }
        let strong = strong || now - self.strong_at < BLINK;
        let changed = self.tools.shared.standing.send_if_modified(|standing| {
            let changed = standing.strong != strong && (standing.open || !strong);
            if changed {
                standing.strong = strong;
            }
            changed
        });
        if changed && strong {
            info!(epoch = %self.epoch, "enough voters replicate, strong writes again");
        } else if changed {
            warn!(epoch = %self.epoch, "at risk: too few voters replicate, no strong writes");
        }
    }

    /// Says whether weak writes wait for the voters.
    fn tell_lag(&self) {
        let lagging = self.lag.is_too_large();
        let changed = self.tools.shared.standing.send_if_modified(|standing| {
            std::mem::replace(&mut standing.lagging, lagging) != lagging
        });
        if changed && lagging {
            warn!(epoch = %self.epoch, "the voters lag: weak writes wait for them");
        } else if changed {
            info!(epoch = %self.epoch, "weak writes wait for nobody again");
        }
    }

    fn name_them(&self, names: &BTreeSet<RegionId>, known: &Known) -> anyhow::Result<()> {
        info!(epoch = %self.epoch, ?names, "naming the standbys that count");
        let acks = known.activation().acks;
        self.tools.postgres.write_sync_set(&self.tools.site.id, names, acks, self.epoch)
    }
}
