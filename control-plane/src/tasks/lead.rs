//! Has etcd's leader go back to where it belongs.

use std::sync::Arc;
use std::time::Duration;

use client::Etcd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use topology::{Phase, RegionId, Spec};
use tracing::{info, warn};

use crate::decide::lead::{Lead, Standing};
use crate::decide::state::State;

/// How often the members are asked.
const LOOK: Duration = Duration::from_secs(2);

/// Asks until stopped; on one machine nobody, as no member is nearer than another. Only the process beside
/// the leader does anything.
pub async fn keep(
    spec: Arc<Spec>,
    vantage: RegionId,
    state: watch::Receiver<Arc<State>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if spec.round_trip.is_zero() {
        stop.cancelled().await;
        return Ok(());
    }
    tokio::select! {
        () = look_again_and_again(&spec, &vantage, &state) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn look_again_and_again(
    spec: &Spec,
    vantage: &RegionId,
    state: &watch::Receiver<Arc<State>>,
) {
    let etcd = Etcd::connect(spec.etcd_endpoints(None)).over(spec.round_trip);
    let place = spec.regions.iter().position(|region| region.id == *vantage);
    let (Some(place), Some(first)) = (place, spec.regions.first()) else { return };
    let mut lead = Lead::default();
    loop {
        sleep(LOOK).await;
        let told = etcd.standings().await.into_iter();
        let standings: Vec<_> = told
            .map(|told| told.map(|told| Standing { member: told.member, leader: told.leader }))
            .collect();
        let now = Instant::now();
        let is_calm = is_calm(&state.borrow(), &first.id, now);
        lead.saw(&standings, is_calm, now);
        let Some(successor) = lead.decide(place, now) else { continue };
        lead.tried(now);
        match etcd.hand_lead_to(place, successor).await {
            Ok(()) => info!(from = %vantage, to = %first.id, "etcd's leader handed over"),
            Err(err) => warn!(to = %first.id, error = %err, "etcd's leader did not hand over"),
        }
    }
}

/// Whether every cell serves, nobody has stopped what moves by itself, and the first region is in use.
fn is_calm(state: &State, first: &RegionId, now: Instant) -> bool {
    let intent = state.intent();
    let serves = state
        .cells()
        .values()
        .all(|cell| matches!(cell.routed.activation.phase, Phase::Steady { .. }));
    serves && intent.freeze(now).is_none() && !intent.drained().contains(first)
}
