//! While a site serves: `cell::agent::keep::serve`.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use cell::agent::decide::sync_set::{self, Look, Standby, Step};
use runtime::clock::BootTime;
use topology::{Epoch, RegionId};

use super::Known;
use super::keep::{Done, Failure, Tools, change};
use super::open;
use crate::sim::pg::{Conf, WAIT};
use crate::sim::sabotage::Sabotage;

const LOOK: Duration = Duration::from_millis(250);
const BLINK: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// What a primary says of its standbys.
#[derive(Default)]
struct Replication {
    named: BTreeSet<RegionId>,
    flushed: u64,
    standbys: BTreeMap<RegionId, Standby>,
}

type Recording = Pin<Box<dyn Future<Output = Result<Recorded, Failure>>>>;

struct Recorded {
    before: u64,
    now: Option<Known>,
}

struct Serving {
    tools: Tools,
    epoch: Epoch,
    others: BTreeSet<RegionId>,
    seen: BTreeMap<RegionId, BootTime>,
    sampled: Option<u64>,
    named: BTreeSet<RegionId>,
    /// The record that somebody else has replaced: no step is taken by it any more.
    outdated: Option<u64>,
    strong_at: BootTime,
}

pub async fn serve(tools: Tools, epoch: Epoch) -> Result<Done, Failure> {
    let is_open = tools.shared.standing.borrow().open;
    let mut serving = Serving::new(tools.clone(), epoch);
    let opened = async {
        if !is_open {
            open::barrier(&tools, epoch).await?;
            tools.sim().check_opened(tools.site, epoch, true);
            tools.shared.standing.send_modify(|standing| standing.open = true);
        }
        std::future::pending::<Result<Done, Failure>>().await
    };
    tokio::select! {
        biased;
        ended = opened => ended,
        ended = serving.tend() => ended,
    }
}

impl Serving {
    fn new(tools: Tools, epoch: Epoch) -> Self {
        let sites = tools.sim().sites.iter().enumerate();
        let others: BTreeSet<RegionId> = sites
            .filter(|(index, _)| *index != tools.site)
            .map(|(_, site)| site.region.clone())
            .collect();
        let now = tools.proc.now();
        Self {
            seen: others.iter().map(|region| (region.clone(), now)).collect(),
            tools,
            epoch,
            others,
            sampled: None,
            named: BTreeSet::new(),
            outdated: None,
            strong_at: now,
        }
    }

    async fn tend(&mut self) -> Result<Done, Failure> {
        let proc = self.tools.proc.clone();
        let mut recording: Option<Recording> = None;
        loop {
            if let Some(known) = self.own_record() {
                let seen = self.replication().await?;
                let step = self.look(&known, &seen);
                if let Some(step) = step.filter(|_| recording.is_none()) {
                    recording = self.take(step, known, &seen);
                }
            }
            let ticked = proc.sleep(LOOK);
            tokio::pin!(ticked);
            loop {
                tokio::select! {
                    biased;
                    recorded = outcome(&mut recording) => self.recorded(recorded?),
                    () = &mut ticked => break,
                }
            }
        }
    }

    fn recorded(&mut self, recorded: Recorded) {
        if let Some(known) = recorded.now {
            self.tools.shared.learn(known);
        } else {
            self.outdated = Some(recorded.before);
            self.tools.sim().sites[self.tools.site].refresh.notify_one();
        }
    }

    fn own_record(&self) -> Option<Known> {
        let known = self.tools.shared.known.borrow().clone()?;
        let activation = known.activation();
        let me = &self.tools.sim().sites[self.tools.site].region;
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

    async fn replication(&self) -> Result<Replication, Failure> {
        let (site, epoch) = (self.tools.site, self.epoch.0);
        let postgres = self.tools.sim().sites[site].postgres;
        let asked = self.tools.sim().call(
            &self.tools.proc,
            postgres,
            WAIT,
            move |proc, reply| async move {
                let sim = &proc.sim;
                let mut seen = Replication {
                    flushed: sim.wal.lsn(sim.pg(site).head()),
                    ..Replication::default()
                };
                {
                    let run = sim.pg(site).run.borrow();
                    let Some(run) = run.as_ref().filter(|run| run.ready) else { return };
                    let region = |index: usize| sim.sites[index].region.clone();
                    if let Conf::Names { sites, epoch: named, .. } = &run.loaded
                        && *named == epoch
                    {
                        seen.named = sites.iter().map(|index| region(*index)).collect();
                    }
                    let streaming = run.senders.iter().filter(|sender| sender.streaming.get());
                    for sender in streaming.filter(|sender| sender.epoch == epoch) {
                        let flushed = sender.flushed.get();
                        let lag = seen.flushed.saturating_sub(flushed);
                        let standby = Standby { counted: sender.counted.get(), flushed, lag };
                        seen.standbys.insert(region(sender.site), standby);
                    }
                }
                reply.send(seen);
            },
        );
        asked.await.ok_or("look at the standbys")
    }

    fn look(&mut self, known: &Known, seen: &Replication) -> Option<Step> {
        let now = self.tools.proc.now();
        self.seen.extend(seen.standbys.keys().map(|region| (region.clone(), now)));
        let away: BTreeMap<RegionId, Duration> =
            self.seen.iter().map(|(region, at)| (region.clone(), now.since(*at))).collect();
        if self.named != seen.named {
            self.named.clone_from(&seen.named);
            self.sampled = None;
        }
        let look = Look {
            recorded: &known.activation().voters,
            is_replaced: self.outdated == Some(known.revision),
            named: &self.named,
            acks: known.activation().acks,
            others: &self.others,
            retired: &known.activation().retired,
            standbys: &seen.standbys,
            away: &away,
            sampled: self.sampled,
        };
        let strong = look.is_strong();
        let step = sync_set::next(&look);
        self.tell(strong, now);
        self.instead(step, known)
    }

    /// Wrong orders of the same steps, to see that they are found.
    fn instead(&self, step: Option<Step>, known: &Known) -> Option<Step> {
        let sim = self.tools.sim();
        match step {
            // A voter leaves the record while PostgreSQL still counts it.
            Some(Step::Name(names))
                if sim.sabotaged(Sabotage::RecordBeforeName)
                    && names.len() < known.activation().voters.len() =>
            {
                Some(Step::Record(names))
            }
            // And a crash keeps the second step from being done.
            Some(Step::Name(names))
                if sim.sabotaged(Sabotage::RecordBeforeName)
                    && self.named.len() > known.activation().voters.len() =>
            {
                drop(names);
                None
            }
            // One joins the names before the elections know of it, and a crash keeps it so.
            Some(Step::Record(voters))
                if sim.sabotaged(Sabotage::NameBeforeRecord)
                    && voters.len() > known.activation().voters.len() =>
            {
                Some(Step::Name(voters))
            }
            Some(Step::Name(names))
                if sim.sabotaged(Sabotage::NameBeforeRecord)
                    && !self.named.is_subset(&known.activation().voters) =>
            {
                drop(names);
                None
            }
            // The rest need not have flushed what the leaving one alone had acknowledged.
            Some(Step::Sample) if sim.sabotaged(Sabotage::NoFlushBeforeRecord) => {
                Some(Step::Record(self.named.clone()))
            }
            step => step,
        }
    }

    fn tell(&mut self, strong: bool, now: BootTime) {
        if strong {
            self.strong_at = now;
        }
        let strong = strong || now.since(self.strong_at) < BLINK;
        self.tools.shared.standing.send_if_modified(|standing| {
            let changed = standing.strong != strong && (standing.open || !strong);
            if changed {
                standing.strong = strong;
            }
            changed
        });
    }

    fn take(&mut self, step: Step, known: Known, seen: &Replication) -> Option<Recording> {
        let tools = &self.tools;
        tools.sim().trace(|| format!("{}: {step:?}", tools.sim().name(tools.site)));
        match step {
            Step::Name(names) => {
                let sites = names.iter().map(|it| self.tools.sim().index(it)).collect();
                let acks = known.activation().acks.max(1);
                let names = Conf::Names { sites, acks, epoch: self.epoch.0 };
                self.tools.sim().configure(self.tools.site, names);
                None
            }
            Step::Sample => {
                self.sampled = Some(seen.flushed);
                None
            }
            Step::Record(voters) => Some(Box::pin(record(self.tools.clone(), known, voters))),
            Step::Read => {
                self.tools.sim().sites[self.tools.site].refresh.notify_one();
                None
            }
        }
    }
}

async fn outcome(recording: &mut Option<Recording>) -> Result<Recorded, Failure> {
    let Some(running) = recording else { return std::future::pending().await };
    let recorded = running.await;
    *recording = None;
    recorded
}

async fn record(
    tools: Tools,
    known: Known,
    voters: BTreeSet<RegionId>,
) -> Result<Recorded, Failure> {
    let (shared, proc) = (&tools.shared, &tools.proc);
    let told = shared.valid_until();
    if !tools.sim().sabotaged(Sabotage::LeaversPromiseCounts) {
        shared.standing.send_modify(|standing| {
            if let Some(claim) = &mut standing.claim {
                claim.voters.retain(|region| voters.contains(region));
            }
        });
    }
    let limit = proc.now() + proc.sim.policy.patience;
    while shared.valid_until() < told {
        if proc.now() >= limit {
            return Err("renew the right without who leaves");
        }
        proc.sleep(POLL).await;
    }
    if proc.now() >= shared.valid_until() {
        return Err("hold the right");
    }
    let mut next = known.activation().clone();
    next.voters = voters;
    loop {
        match change(&tools, &known, next.clone()).await {
            Ok(now) => return Ok(Recorded { before: known.revision, now }),
            Err(why) if proc.sim.sabotaged(Sabotage::RecordLeftUnsettled) => return Err(why),
            Err(_unanswered) => proc.sleep(LOOK).await,
        }
    }
}
