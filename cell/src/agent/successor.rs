//! Asks whoever may be elected which timeline it will have begun, before anybody is.
//!
//! ```text
//!   switching or electing ──▶ asked, and the question waits there
//!   promoted              ──▶ answered: known here one way later
//! ```
//!
//! Opening a connection and asking are two ways there and back, and over distances a barrier waits for the
//! answer. Each is asked once, and waits for two seconds: who is promoted later than that, or was never
//! expected to be, is asked by the keeper, as before.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use runtime::HttpClient;
use runtime::http_client::CallError;
use tokio::sync::watch;
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

/// A timeline, and where it has been begun.
#[derive(Debug)]
pub(crate) struct BegunElsewhere {
    region: RegionId,
    begun: BegunTimeline,
}

/// Asks ahead, until stopped.
pub(crate) async fn ask_ahead(
    site: Arc<Site>,
    http: HttpClient,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut known = shared.known.subscribe();
    known.mark_changed();
    let mut last = Epoch(0);
    // Each ends by itself, and of an epoch nobody is asked twice.
    let mut questions = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = known.changed() => changed?,
            Some((region, answer)) = questions.next(), if !questions.is_empty() => {
                hear(&shared.begun_elsewhere, region, answer);
                continue;
            }
        }
        let next = known
            .borrow_and_update()
            .as_ref()
            .and_then(|known| successors(known.activation(), &site.id.region));
        let Some((epoch, regions)) = next.filter(|(epoch, _)| *epoch > last) else { continue };
        last = epoch;
        questions.extend(regions.into_iter().map(|region| {
            let (site, http) = (&site, &http);
            async move {
                let answer = ask(site, http, &region, epoch).await;
                (region, answer)
            }
        }));
    }
}

fn hear(
    heard: &watch::Sender<Option<BegunElsewhere>>,
    region: RegionId,
    answer: Result<BegunTimeline, CallError>,
) {
    match answer {
        Ok(begun) => drop(heard.send_replace(Some(BegunElsewhere { region, begun }))),
        Err(err) => debug!(%region, error = %err, "no answer ahead"),
    }
}

/// Returns the timeline that a site has begun under an epoch: what it has said already, or says to whichever
/// question it answers first.
pub(crate) async fn begun_timeline(
    site: &Site,
    http: &HttpClient,
    shared: &Shared,
    region: &RegionId,
    epoch: Epoch,
) -> Result<BegunTimeline, CallError> {
    tokio::select! {
        biased;
        Some(begun) = ahead(shared.begun_elsewhere.subscribe(), region, epoch) => Ok(begun),
        answer = ask(site, http, region, epoch) => answer,
    }
}

/// Waits for what that site says when it was asked ahead; none if nobody will hear it any more.
async fn ahead(
    mut heard: watch::Receiver<Option<BegunElsewhere>>,
    region: &RegionId,
    epoch: Epoch,
) -> Option<BegunTimeline> {
    let is_asked = |heard: &Option<BegunElsewhere>| {
        heard.as_ref().is_some_and(|one| one.region == *region && one.begun.epoch == epoch.0)
    };
    let heard = heard.wait_for(is_asked).await.ok()?;
    heard.as_ref().map(|one| one.begun.clone())
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
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_counts_for_who_was_asked_and_for_the_epoch() {
        let (north, south): (RegionId, RegionId) =
            ("north".parse().unwrap(), "south".parse().unwrap());
        let told = watch::channel(None).0;
        let is_heard = |region, epoch| {
            let begun = ahead(told.subscribe(), region, Epoch(epoch)).now_or_never().flatten();
            begun.map(|begun| begun.timeline)
        };
        assert_eq!(is_heard(&north, 7), None);
        hear(&told, north.clone(), Ok(begun(7, 3)));
        assert_eq!(is_heard(&north, 7), Some(3));
        assert_eq!(is_heard(&north, 8), None, "of another epoch");
        assert_eq!(is_heard(&south, 7), None, "of another site");
        let silent = CallError::Timeout { peer: "south".to_owned(), after: TOLD };
        hear(&told, "south".parse().unwrap(), Err(silent));
        assert_eq!(is_heard(&north, 7), Some(3), "who is silent says nothing of others");
    }

    #[tokio::test]
    async fn an_answer_that_comes_while_it_is_waited_for_is_heard() {
        let north: RegionId = "north".parse().unwrap();
        let told = watch::channel(None).0;
        let waiting = ahead(told.subscribe(), &north, Epoch(7));
        let says = async { hear(&told, north.clone(), Ok(begun(7, 3))) };
        assert_eq!(tokio::join!(waiting, says).0, Some(begun(7, 3)));
    }

    fn begun(epoch: u64, timeline: u32) -> BegunTimeline {
        BegunTimeline { epoch, system: 1, timeline, lsn: 3, history: String::new() }
    }
}
