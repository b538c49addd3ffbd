//! Looks around and says what is seen, for the control planes' probes: `cell::agent::report`.

use std::collections::BTreeMap;
use std::time::Duration;

use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;

use super::keep::Tools;
use crate::sim::pg::WAIT;

const PERIOD: Duration = Duration::from_millis(500);

pub async fn report(tools: Tools) {
    let mut tenure = tools.shared.tenure.subscribe();
    let mut sequence = 0;
    loop {
        sequence += 1;
        let seen = look(&tools, sequence).await;
        let told = seen.tenure;
        *tools.shared.report.borrow_mut() = Some(seen);
        tokio::select! {
            biased;
            () = tenure.wait_for(|line| line.tenure != told) => {}
            () = tools.proc.sleep(PERIOD) => {}
        }
    }
}

async fn look(tools: &Tools, sequence: u64) -> SiteReport {
    let line = tools.shared.tenure.borrow().clone();
    let (sim, site) = (tools.sim(), tools.site);
    let position = if tools.pg().is_running() {
        sim.call(&tools.proc, sim.sites[site].postgres, WAIT, move |proc, reply| async move {
            let sim = &proc.sim;
            if sim.pg(site).is_ready() {
                reply.send((sim.wal.timeline(sim.pg(site).head()), sim.flushed(site)));
            }
        })
        .await
    } else {
        None
    };
    let doing = match (tools.pg().is_running(), position, tools.pg().is_standby()) {
        (false, _, _) => "stopped",
        (true, None, _) => "starting",
        (true, Some(_), true) if tools.pg().is_streaming() => "standby",
        (true, Some(_), true) => "waiting",
        (true, Some(_), false) => "primary",
    };
    let mut lag_bytes = BTreeMap::new();
    if doing == "primary"
        && let Some(run) = tools.pg().run.borrow().as_ref()
    {
        let head = sim.wal.lsn(tools.pg().head());
        let streaming = run.senders.iter().filter(|sender| sender.streaming.get());
        for sender in streaming.filter(|sender| sender.epoch == line.epoch) {
            let lag = head.saturating_sub(sender.flushed.get());
            lag_bytes.insert(sim.sites[sender.site].region.to_string(), lag);
        }
    }
    SiteReport {
        sequence,
        tenure: line.tenure,
        epoch: line.epoch,
        postgres: doing.to_owned(),
        lsn: position.map_or(0, |(_, lsn)| lsn),
        timeline: position.map_or(0, |(timeline, _)| timeline),
        lag_bytes,
        flush: None,
        room: None,
        services: BTreeMap::new(),
        at_risk: line.tenure == TenureName::Serving && !line.strong,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}
