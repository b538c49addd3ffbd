//! Keeps the site's right alive, which may have begun with the vote that elected it, and ends it on time.
//!
//! Three loops that never wait for each other: renew the lease, collect the voters' promises, and
//! guard the moment at which neither lasts any longer. Then PostgreSQL is stopped at once and the
//! services are told that nothing may be acknowledged.

use std::sync::Arc;
use std::time::Duration;

use client::Etcd;
use client::lease::{Lease, RenewError};
use futures_util::future::join_all;
use runtime::HttpClient;
use runtime::clock::BootTime;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use topology::RegionId;
use topology::address::Port;
use topology::wire::agent::{PromiseReply, PromiseRequest, TenureLine};
use tracing::{info, warn};

use super::decide::pace;
use super::decide::right::Right;
use super::postgres::Postgres;
use super::shared::{Claim, Shared};
use crate::config::Site;

/// How long a promise is waited for. Giving up ends the connection, and a new one takes another round
/// trip: over a slow line, whoever gives up sooner never gets an answer again.
const PROMISE_TIME: Duration = Duration::from_millis(1200);
/// Between an answer and the next request, where the answer took as long as there is between two.
const PAUSE: Duration = Duration::from_millis(50);
/// Renewals missed in a row before that is told.
const TOLD: u32 = 2;
/// A release is a courtesy that spares the next election a wait.
const RELEASE_TIME: Duration = Duration::from_millis(200);

/// Renews the lease while a right is claimed.
pub(crate) async fn renew(
    site: Arc<Site>,
    etcd: Etcd,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut standing = shared.standing.subscribe();
    let mut lease: Option<Lease> = None;
    let mut missed = 0u32;
    while !stop.is_cancelled() {
        let begun = BootTime::now();
        let claim = standing.borrow_and_update().claim.clone();
        if let Some(claim) = claim {
            let lease = lease_for(&mut lease, &claim, &site, &etcd, &shared);
            let renewed = lease
                .renew(claim.revision, |sending| {
                    shared.renewal.send_replace(sending);
                })
                .await;
            match &renewed {
                Ok(sent) => shared.right.send_modify(|right| {
                    if right.epoch() == claim.epoch {
                        right.renewed(*sent, &site.spec.lease);
                    }
                }),
                Err(RenewError::Over { .. }) => shared.refresh.notify_one(),
                Err(RenewError::Unknown { .. }) => {}
            }
            let before = missed;
            missed = if renewed.is_ok() { 0 } else { missed.saturating_add(1) };
            // One may miss: the record changes under it when voters leave or join.
            match renewed {
                Ok(_) if before >= TOLD => info!(epoch = %claim.epoch, "lease renewed again"),
                Ok(_) => {}
                Err(err) if missed == TOLD => {
                    warn!(epoch = %claim.epoch, error = %err, "lease not renewed");
                }
                Err(_told) => {}
            }
        }
        let pause = until_next(site.spec.lease.renew, BootTime::now().since(begun));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = standing.changed() => changed?,
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// A claim under a new epoch begins a new lease and a new right.
fn lease_for<'a>(
    lease: &'a mut Option<Lease>,
    claim: &Claim,
    site: &Site,
    etcd: &Etcd,
    shared: &Shared,
) -> &'a mut Lease {
    if lease.as_ref().is_none_or(|lease| lease.epoch() != claim.epoch) {
        begin(shared, claim);
        *lease = Some(Lease::new(
            etcd.clone(),
            site.id.cell.clone(),
            site.id.region.clone(),
            claim.epoch,
        ));
    }
    lease.as_mut().expect("set above")
}

fn begin(shared: &Shared, claim: &Claim) {
    shared.right.send_if_modified(|right| {
        let fresh = right.epoch() != claim.epoch;
        if fresh {
            *right = Right::new(claim.epoch);
        }
        fresh
    });
}

/// Asks the voters not to elect anybody else, while a right is claimed.
pub(crate) async fn collect_promises(
    site: Arc<Site>,
    http: HttpClient,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut standing = shared.standing.subscribe();
    while !stop.is_cancelled() {
        let claim = standing.borrow_and_update().claim.clone();
        let asking = async {
            if let Some(claim) = &claim {
                begin(&shared, claim);
                let asked = claim.voters.iter();
                join_all(asked.map(|voter| keep_promised(voter, claim, &site, &http, &shared)))
                    .await;
            }
            // Nobody is asked for anything.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = asking => {}
            changed = standing.wait_for(|standing| standing.claim != claim) => {
                changed?;
            }
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Asks one voter again and again, for as long as it is polled: none waits for another that is slow.
async fn keep_promised(
    voter: &RegionId,
    claim: &Claim,
    site: &Site,
    http: &HttpClient,
    shared: &Shared,
) {
    let url = format!("http://{}/v1/promise", site.peer_address(voter, Port::Agent));
    let request = request(site, claim, false);
    loop {
        let sent = BootTime::now();
        let reply: Result<PromiseReply, _> = http.post(&url, &request, PROMISE_TIME).await;
        // A voter that does not answer has promised nothing; the next request is due soon.
        if reply.is_ok_and(|reply| reply.granted) {
            shared.right.send_modify(|right| {
                if right.epoch() == claim.epoch {
                    right.promised(voter, sent, &site.spec.lease);
                }
            });
        }
        let pause = until_next(site.spec.lease.renew, BootTime::now().since(sent));
        tokio::time::sleep(pause).await;
    }
}

/// How long to wait between two requests that are to be sent so often: an answer from far away is part of it.
fn until_next(every: Duration, took: Duration) -> Duration {
    every.saturating_sub(took).max(PAUSE)
}

/// Tells the voters that this site has stopped serving: what they promised it is over.
pub(crate) async fn release(site: &Site, http: &HttpClient, claim: &Claim) {
    let request = request(site, claim, true);
    // Over a connection that may have to be opened.
    let limit = RELEASE_TIME + site.spec.round_trip * 2;
    let told = claim.voters.iter().map(|voter| {
        let url = format!("http://{}/v1/promise", site.peer_address(voter, Port::Agent));
        let request = &request;
        async move {
            let reply: Result<PromiseReply, _> = http.post(&url, request, limit).await;
            if let Err(err) = reply {
                info!(%voter, error = %err, "promise not released; it runs out by itself");
            }
        }
    });
    join_all(told).await;
}

fn request(site: &Site, claim: &Claim, release: bool) -> PromiseRequest {
    PromiseRequest {
        cell: site.id.cell.to_string(),
        region: site.id.region.to_string(),
        epoch: claim.epoch.0,
        release,
    }
}

/// Tells the services until when they may acknowledge, and stops PostgreSQL when that moment comes.
pub(crate) async fn guard(
    postgres: Arc<Postgres>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut standing = shared.standing.subscribe();
    let mut right = shared.right.subscribe();
    while !stop.is_cancelled() {
        let now_standing = standing.borrow_and_update().clone();
        right.borrow_and_update();
        let valid_until = shared.valid_until();
        let now = BootTime::now();
        let begun = valid_until > BootTime::default();
        let over = begun && now >= valid_until;
        let line = TenureLine {
            tenure: now_standing.tenure.into(),
            epoch: now_standing.epoch.0,
            valid_until: valid_until.as_nanos(),
            open: now_standing.open,
            strong: now_standing.strong,
            lagging: now_standing.lagging,
        };
        shared.tenure.send_if_modified(|last| {
            let changed = *last != line;
            *last = line;
            changed
        });
        if let Some(claim) = now_standing.claim.filter(|_| over)
            && *shared.lapsed.borrow() < claim.epoch
        {
            postgres.stop_now();
            warn!(epoch = %claim.epoch, "right ran out; PostgreSQL stopped at once");
            shared.lapsed.send_replace(claim.epoch);
        }
        tokio::select! {
            () = tokio::time::sleep(valid_until.since(now)), if begun && !over => {}
            changed = standing.changed() => changed?,
            changed = right.changed() => changed?,
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Watches whether this process is run in time.
pub(crate) async fn keep_pace(shared: Arc<Shared>, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let due = Instant::now() + pace::TICK;
        tokio::select! {
            () = sleep_until(due) => {}
            () = stop.cancelled() => return Ok(()),
        }
        shared.pace.send_modify(|pace| pace.ticked(due, Instant::now()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_takes_is_part_of_the_time_between_two_requests() {
        let ms = Duration::from_millis;
        for (took, pause) in [(0, 500), (340, 160), (480, 50), (500, 50), (3000, 50)] {
            assert_eq!(until_next(ms(500), ms(took)), ms(pause), "after {took} ms");
        }
    }
}
