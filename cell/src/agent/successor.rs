//! Asks whoever may be elected which timeline it will have begun, before anybody is.
//!
//! ```text
//!   switching or electing ──▶ asked, and the question waits there
//!   promoted              ──▶ answered: known here one way later
//! ```
//!
//! Opening a connection and asking are two ways there and back, and over distances a barrier waits for the
//! answer. What comes too late, or not at all, the keeper asks itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use runtime::HttpClient;
use runtime::http_client::CallError;
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use topology::wire::agent::BegunTimeline;
use topology::{Epoch, RegionId};
use tracing::debug;

use super::decide::successor::successors;
use super::shared::Shared;
use crate::config::Site;

/// How long a successor may take to say which timeline it has begun: two seconds, and the way.
const TOLD: Duration = Duration::from_millis(2_500);

/// What has been asked of successors, and heard of them.
#[derive(Debug, Default)]
pub(crate) struct Successors {
    /// Who has yet to answer, and for which epoch.
    asked: BTreeSet<(RegionId, Epoch)>,
    /// The last answer.
    heard: Option<(RegionId, BegunTimeline)>,
}

impl Successors {
    fn timeline(&self, region: &RegionId, epoch: Epoch) -> Option<&BegunTimeline> {
        let heard = self.heard.as_ref();
        heard
            .filter(|(from, begun)| from == region && begun.epoch == epoch.0)
            .map(|(_, begun)| begun)
    }
}

/// Asks ahead, until stopped.
pub(crate) async fn ask_ahead(
    site: Arc<Site>,
    http: HttpClient,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut known = shared.known.subscribe();
    let mut last = Epoch(0);
    // Each ends by itself; of an epoch nobody is asked twice.
    let mut questions = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some((region, epoch, answer)) = questions.next(), if !questions.is_empty() => {
                shared.successors.send_modify(|successors| {
                    successors.take(region, epoch, answer);
                });
            }
            changed = known.changed() => {
                changed?;
                let next = known.borrow_and_update().as_ref().and_then(|known| {
                    successors(known.activation(), &site.id.region)
                });
                let Some((epoch, regions)) = next.filter(|(epoch, _)| *epoch > last) else { continue };
                last = epoch;
                shared.successors.send_modify(|successors| {
                    successors.asked.extend(regions.iter().map(|region| (region.clone(), epoch)));
                });
                for region in regions {
                    let (site, http) = (&site, &http);
                    questions.push(async move {
                        let answer = ask(site, http, &region, epoch).await;
                        (region, epoch, answer)
                    });
                }
            }
        }
    }
}

impl Successors {
    fn take(&mut self, region: RegionId, epoch: Epoch, answer: Result<BegunTimeline, CallError>) {
        self.asked.remove(&(region.clone(), epoch));
        match answer {
            Ok(begun) if begun.epoch == epoch.0 => self.heard = Some((region, begun)),
            Ok(_) => {}
            Err(err) => debug!(%region, %epoch, error = %err, "no answer ahead"),
        }
    }
}

/// Returns the timeline that a site has begun under an epoch: what it has said, what it is about to say, or
/// what it says now.
pub(crate) async fn begun_timeline(
    site: &Site,
    http: &HttpClient,
    shared: &Shared,
    region: &RegionId,
    epoch: Epoch,
) -> Result<BegunTimeline, CallError> {
    let mut successors = shared.successors.subscribe();
    let key = (region.clone(), epoch);
    let ahead = successors.wait_for(|successors| !successors.asked.contains(&key)).await;
    let ahead = ahead.ok().and_then(|successors| successors.timeline(region, epoch).cloned());
    match ahead {
        Some(begun) => Ok(begun),
        None => ask(site, http, region, epoch).await,
    }
}

async fn ask(
    site: &Site,
    http: &HttpClient,
    region: &RegionId,
    epoch: Epoch,
) -> Result<BegunTimeline, CallError> {
    let agent = site.peer_address(region, Port::Agent);
    http.get(&format!("http://{agent}/v1/timeline?epoch={epoch}"), TOLD).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_whom_and_what_was_asked() {
        let [north, south] = ["north", "south"].map(|id| id.parse::<RegionId>().unwrap());
        let mut successors = Successors::default();
        let begun =
            |epoch| BegunTimeline { epoch, system: 1, timeline: 2, lsn: 3, history: String::new() };
        successors.take(north.clone(), Epoch(7), Ok(begun(6)));
        assert_eq!(successors.timeline(&north, Epoch(7)), None, "it answered something else");
        successors.take(north.clone(), Epoch(7), Ok(begun(7)));
        assert_eq!(successors.timeline(&north, Epoch(7)), Some(&begun(7)));
        assert_eq!(successors.timeline(&north, Epoch(8)), None);
        assert_eq!(successors.timeline(&south, Epoch(7)), None);
    }
}
