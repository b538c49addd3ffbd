//! Follows the cell's record, and the active site: `cell::agent::follow_cell`, `keep::follow` and
//! `stay_out`.

use std::time::Duration;

use cell::agent::decide::role::Role;
use cell::agent::decide::tenure::Event;
use runtime::clock::BootTime;
use topology::{Epoch, RegionId};

use super::Known;
use super::keep::{Done, Failure, Keeper, Tools};
use crate::sim::pg::{Conf, Stop};

const PERIOD: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(500);
const STREAM_LIMIT: Duration = Duration::from_secs(8);
const STOP_LIMIT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(300);

#[derive(Default)]
pub struct Stream {
    told: Option<(RegionId, Epoch)>,
    looked: Option<BootTime>,
    broken_since: Option<BootTime>,
    rewound_in_vain: bool,
}

impl Stream {
    pub fn forget(&mut self) {
        *self = Self { rewound_in_vain: self.rewound_in_vain, ..Self::default() };
    }

    pub fn could_not_start(&mut self) {
        self.forget();
        self.rewound_in_vain = true;
    }
}

/// Reads the record at each hint and once a second.
pub async fn follow_cell(tools: Tools) {
    loop {
        read(&tools).await;
        tokio::select! {
            biased;
            () = tools.sim().sites[tools.site].refresh.notified() => {}
            () = tools.proc.sleep(PERIOD) => {}
        }
    }
}

/// Reads the record now and makes it known; returns whether etcd answered.
pub async fn read(tools: &Tools) -> bool {
    let Ok(stored) = tools.sim().read(&tools.proc).await else { return false };
    if let Some(kept) = stored.cell {
        tools.shared.learn(Known { cell: kept.value, revision: kept.revision });
    }
    true
}

pub async fn follow(keeper: &mut Keeper, role: Role) {
    let Role::Follow { upstream, epoch } = &role else { return };
    let (upstream, epoch) = (upstream.clone(), *epoch);
    keeper.end_serving(Event::Superseded).await;
    let tools = keeper.tools.clone();
    tools.shared.standing.send_if_modified(|standing| {
        let later = standing.epoch < epoch;
        standing.epoch = standing.epoch.max(epoch);
        later
    });
    let source = tools.sim().index(&upstream);
    let pg = tools.pg();
    if pg.was_primary() {
        keeper.stream.forget();
        rebuild(keeper, role, source);
    } else if !pg.is_running() {
        keeper.stream.forget();
        keeper.stream.told = Some((upstream, epoch));
        keeper.begin(role, false, start(tools.clone(), source, epoch));
    } else if keeper.stream.told.as_ref() != Some(&(upstream.clone(), epoch)) {
        tools.sim().configure(tools.site, Conf::Upstream(Some((source, epoch.0))));
        tools
            .sim()
            .trace(|| format!("{}: follow {upstream}, {epoch}", tools.sim().name(tools.site)));
        keeper.stream.told = Some((upstream, epoch));
        keeper.stream.broken_since = None;
    } else {
        look_at_stream(keeper, role, source).await;
    }
}

pub async fn stay_out(keeper: &mut Keeper, epoch: Epoch) {
    keeper.end_serving(Event::Superseded).await;
    let tools = keeper.tools.clone();
    tools.shared.standing.send_if_modified(|standing| {
        let later = standing.epoch < epoch;
        standing.epoch = standing.epoch.max(epoch);
        later
    });
    keeper.stream.forget();
    keeper.begin(Role::StayOut { epoch }, false, stand_idle(tools));
}

async fn stand_idle(tools: Tools) -> Result<Done, Failure> {
    let (sim, proc, site) = (tools.sim(), &tools.proc, tools.site);
    if tools.pg().is_running() && tools.pg().was_primary() {
        sim.pg_stop(proc, site, Stop::Immediate, STOP_LIMIT).await;
    }
    if tools.pg().is_running() {
        sim.configure(site, Conf::Upstream(None));
    }
    sim.trace(|| format!("{}: kept out", sim.name(site)));
    loop {
        if !tools.pg().is_running() && !tools.pg().was_primary() {
            sim.pg_start_standby(proc, site, None).await?;
        }
        proc.sleep(LOOK).await;
    }
}

async fn look_at_stream(keeper: &mut Keeper, role: Role, source: usize) {
    let tools = keeper.tools.clone();
    let now = tools.proc.now();
    if keeper.stream.looked.is_some_and(|looked| now < looked + LOOK) {
        return;
    }
    keeper.stream.looked = Some(now);
    if tools.pg().is_streaming() {
        keeper.stream.broken_since = None;
        keeper.stream.rewound_in_vain = false;
        return;
    }
    let since = *keeper.stream.broken_since.get_or_insert(now);
    if now < since + STREAM_LIMIT {
        return;
    }
    let postgres = tools.sim().sites[source].postgres;
    let answers = tools
        .sim()
        .call(&tools.proc, postgres, CONNECT, |_proc, reply| async move { reply.send(()) })
        .await;
    if answers.is_some() {
        tools.pg().mark_primary();
        keeper.stream.forget();
        rebuild(keeper, role, source);
    } else {
        keeper.stream.broken_since = None;
    }
}

fn rebuild(keeper: &mut Keeper, role: Role, source: usize) {
    let copy = keeper.stream.rewound_in_vain;
    keeper.stream.rewound_in_vain = true;
    let tools = keeper.tools.clone();
    keeper.begin(role, true, rebuild_from(tools, source, copy));
}

async fn start(tools: Tools, source: usize, epoch: Epoch) -> Result<Done, Failure> {
    let upstream = Some((source, epoch.0));
    tools.sim().pg_start_standby(&tools.proc, tools.site, upstream).await?;
    Ok(Done::Following)
}

async fn rebuild_from(tools: Tools, source: usize, copy: bool) -> Result<Done, Failure> {
    let (sim, proc) = (tools.sim(), &tools.proc);
    sim.pg_stop(proc, tools.site, Stop::Fast, STOP_LIMIT).await;
    if copy {
        sim.pg_copy(proc, tools.site, source).await?;
    } else {
        sim.pg_rejoin(proc, tools.site, source).await?;
    }
    Ok(Done::Following)
}
