//! A site's agent that does as it is told: it renews, opens epochs, votes and hands over like a real
//! one, without a database, and plays dead or refuses on command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use client::Etcd;
use client::etcd::PutIf;
use client::lease::Lease;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use topology::snapshot::RoutedCell;
use topology::wire::agent::{HandOverReply, HandOverRequest, TenureName, VoteReply, VoteRequest};
use topology::wire::canary::CanaryReply;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::lost_writes::LostWritesReport;
use topology::wire::report::SiteReport;
use topology::wire::vantage::DeepOutcome;
use topology::{Activation, Phase, RegionId, SiteId, Spec};

/// How often the stand-in looks at its cell: often enough to renew in time.
const PERIOD: Duration = Duration::from_millis(40);
const SYSTEM: u64 = 7_001;

/// What the site is told to do, and what it was asked. All clones are one site.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) id: SiteId,
    script: Arc<Mutex<Script>>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is one thing a test may ask for")]
pub(crate) struct Script {
    /// Plays dead: answers nothing, renews nothing.
    pub(crate) dead: bool,
    /// Keeps a promise not to vote.
    pub(crate) unwilling: bool,
    /// Keeps it only as long as it is just asked whether it would vote.
    pub(crate) unwilling_when_dry: bool,
    /// Keeps it only once it is asked for its vote.
    pub(crate) unwilling_in_earnest: bool,
    /// Where its write-ahead log ends.
    pub(crate) lsn: u64,
    /// How much more it turns out to have once its vote is frozen.
    pub(crate) unreplayed: u64,
    /// Does not get ready to hand over as long as this is so.
    pub(crate) is_slow_to_prepare: bool,
    /// How often it was asked to get ready.
    pub(crate) prepares: usize,
    /// Never passes the barrier.
    pub(crate) opens_nothing: bool,
    /// What it says when asked to hand over.
    pub(crate) hand_over: HandOverReply,
    /// What it says of itself besides.
    pub(crate) at_risk: bool,
    pub(crate) alerts: BTreeMap<String, String>,
    /// What it lost at changes of history.
    pub(crate) lost_writes: Vec<LostWritesReport>,
    /// Lets no voter leave or join.
    pub(crate) holds_its_voters: bool,
    /// Its services and its database are as good as gone, and its agent is not.
    pub(crate) ill: bool,
    /// Epochs it was asked for a real vote under, and whether as the predecessor.
    pub(crate) votes: Vec<(u64, bool)>,
    /// How often it was asked whether it would vote.
    pub(crate) dry: usize,
    /// How long before it would be asked for that vote, each time.
    pub(crate) ahead_ms: Vec<u64>,
    epoch: u64,
    active: bool,
    /// It has handed over under this epoch, and renews no more.
    handed_over: bool,
}

impl Agent {
    pub(crate) fn new(id: SiteId) -> Self {
        let script = Script {
            dead: false,
            unwilling: false,
            unwilling_when_dry: false,
            unwilling_in_earnest: false,
            lsn: 1000,
            unreplayed: 0,
            is_slow_to_prepare: false,
            prepares: 0,
            opens_nothing: false,
            hand_over: HandOverReply::Stopped { timeline: 1, checkpoint: 900 },
            at_risk: false,
            alerts: BTreeMap::new(),
            lost_writes: Vec::new(),
            holds_its_voters: false,
            ill: false,
            votes: Vec::new(),
            dry: 0,
            ahead_ms: Vec::new(),
            epoch: 0,
            active: false,
            handed_over: false,
        };
        Self { id, script: Arc::new(Mutex::new(script)) }
    }

    pub(crate) fn told<T>(&self, tell: impl FnOnce(&mut Script) -> T) -> T {
        tell(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers, and follows the cell, until stopped.
    pub(crate) async fn run(
        self,
        spec: Arc<Spec>,
        etcd: Etcd,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let address = spec.site_address(&self.id.cell, &self.id.region, Port::Agent).unwrap();
        let listener = TcpListener::bind(address).await?;
        let routes = Router::new()
            .route("/v1/status", get(status))
            .route("/v1/vote", post(vote))
            .route("/v1/hand-over", post(hand_over))
            .route("/v1/lost-writes", get(lost_writes))
            .with_state(self.clone());
        let session =
            spec.site_address(&self.id.cell, &self.id.region, Port::SessionAdmin).unwrap();
        let session = TcpListener::bind(session).await?;
        let canaries = Router::new().route("/v1/canary", post(canary)).with_state(self.clone());
        tokio::select! {
            served = async { axum::serve(listener, routes).await } => Ok(served?),
            served = async { axum::serve(session, canaries).await } => Ok(served?),
            () = self.follow(&etcd) => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn follow(&self, etcd: &Etcd) {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut kept_out = BTreeSet::new();
        let mut lease: Option<Lease> = None;
        loop {
            ticks.tick().await;
            if self.told(|script| script.dead) {
                continue;
            }
            let key = key::cell(&self.id.cell);
            let Ok(stored) = etcd.read(&[&key]).await else { continue };
            let Some(stored) = stored.first() else { continue };
            let record: CellRecord = serde_json::from_slice(&stored.value).unwrap();
            let routed = RoutedCell::try_from(record).unwrap();
            let activation = &routed.activation;
            let active = activation.holder() == Some(&self.id.region);
            let renews = self.told(|script| {
                if script.epoch < activation.epoch.0 {
                    script.handed_over = false;
                }
                script.epoch = activation.epoch.0;
                script.active = active;
                active && !script.handed_over
            });
            if !renews {
                continue;
            }
            let (cell, region) = (self.id.cell.clone(), self.id.region.clone());
            let held = lease.take_if(|lease| lease.epoch() == activation.epoch);
            let mut held =
                held.unwrap_or_else(|| Lease::new(etcd.clone(), cell, region, activation.epoch));
            let renewed = held.renew(stored.revision, |_nobody_asks| {}).await.is_ok();
            lease = Some(held);
            kept_out.extend(activation.retired.iter().cloned());
            if renewed && activation.serving().is_some() {
                self.let_leave_and_join(etcd, stored.revision, &routed, &kept_out).await;
            }
            let opens = !self.told(|script| script.opens_nothing);
            if renewed && opens && matches!(activation.phase, Phase::Promoting { .. }) {
                let mut opened = routed.clone();
                opened.activation = activation.open(&self.id.region, "barrier passed");
                opened.activation.system = Some(SYSTEM);
                let value = serde_json::to_vec(&CellRecord::from(&opened)).unwrap();
                match etcd.put_if(&key, &value, &[(&key, stored.revision)]).await {
                    Ok(PutIf::Done { .. } | PutIf::Stale) | Err(_) => {}
                }
            }
        }
    }

    /// Records who leaves because people keep it out, and who joins because they do no more.
    async fn let_leave_and_join(
        &self,
        etcd: &Etcd,
        revision: u64,
        routed: &RoutedCell,
        kept_out: &BTreeSet<RegionId>,
    ) {
        let mut next = routed.clone();
        let Activation { voters, retired, .. } = &mut next.activation;
        if !self.told(|script| script.holds_its_voters) {
            voters.retain(|voter| !retired.contains(voter));
            voters.extend(kept_out.difference(retired).cloned());
            voters.remove(&self.id.region);
        }
        if next != *routed {
            let key = key::cell(&self.id.cell);
            let value = serde_json::to_vec(&CellRecord::from(&next)).unwrap();
            match etcd.put_if(&key, &value, &[(&key, revision)]).await {
                Ok(PutIf::Done { .. } | PutIf::Stale) | Err(_) => {}
            }
        }
    }

    /// Never returns while the site plays dead.
    async fn alive(&self) {
        while self.told(|script| script.dead) {
            tokio::time::sleep(PERIOD).await;
        }
    }
}

async fn status(State(agent): State<Agent>) -> Json<SiteReport> {
    agent.alive().await;
    Json(agent.told(|script| {
        SiteReport {
            sequence: 1,
            tenure: if script.active { TenureName::Serving } else { TenureName::Standby },
            epoch: script.epoch,
            postgres: match (script.ill, script.active) {
                (true, _) => "starting",
                (false, true) => "primary",
                (false, false) => "standby",
            }
            .to_owned(),
            lsn: script.lsn,
            timeline: 1,
            lag_bytes: ["east", "north", "south"]
                .iter()
                .filter(|region| script.active && **region != agent.id.region.as_str())
                .map(|region| ((*region).to_owned(), 0))
                .collect(),
            flush: None,
            room: None,
            services: BTreeMap::from([("session".to_owned(), true)]),
            at_risk: script.at_risk,
            rebuilt: 0,
            alerts: script.alerts.clone(),
        }
    }))
}

async fn canary(State(agent): State<Agent>) -> Json<CanaryReply> {
    agent.alive().await;
    Json(agent.told(|script| {
        let outcome = match (script.ill, script.active) {
            (true, _) => DeepOutcome::Failed,
            (false, true) => DeepOutcome::Wrote,
            (false, false) => DeepOutcome::Read,
        };
        CanaryReply { outcome, reason: None }
    }))
}

async fn lost_writes(State(agent): State<Agent>) -> Json<Vec<LostWritesReport>> {
    agent.alive().await;
    Json(agent.told(|script| script.lost_writes.clone()))
}

async fn vote(State(agent): State<Agent>, Json(request): Json<VoteRequest>) -> Json<VoteReply> {
    agent.alive().await;
    Json(agent.told(|script| {
        if request.dry {
            script.dry += 1;
            script.ahead_ms.push(request.ahead_ms);
        } else {
            script.votes.push((request.epoch, request.predecessor));
        }
        let here =
            if request.dry { script.unwilling_when_dry } else { script.unwilling_in_earnest };
        if script.unwilling || here {
            VoteReply::Refused { reason: "promised not to vote".to_owned() }
        } else if request.dry {
            VoteReply::Willing
        } else {
            VoteReply::Frozen {
                system: SYSTEM,
                timeline: 1,
                begun: Some(0),
                lsn: script.lsn + script.unreplayed,
            }
        }
    }))
}

async fn hand_over(
    State(agent): State<Agent>,
    Json(request): Json<HandOverRequest>,
) -> Json<HandOverReply> {
    agent.alive().await;
    if request.prepare {
        agent.told(|script| script.prepares += 1);
        while agent.told(|script| script.is_slow_to_prepare) {
            tokio::time::sleep(PERIOD).await;
        }
        return Json(HandOverReply::Prepared);
    }
    Json(agent.told(|script| {
        script.handed_over = matches!(
            script.hand_over,
            HandOverReply::Stopped { .. } | HandOverReply::Abandoned { .. }
        );
        script.hand_over.clone()
    }))
}
