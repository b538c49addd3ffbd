//! Open-loop load: requests are sent when they are due, whatever became of earlier ones.
//!
//! No request is repeated, by nobody behind our back either: the history has what was sent.

mod answer;
mod arrivals;
pub(crate) mod client;
mod users;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::drill::Load;
use crate::history::{Clock, Failure, Operation, Outcome};
use crate::recorder::Recorder;

pub(crate) use arrivals::arrivals;
pub(crate) use client::Client;
pub(crate) use users::users;

/// Sends until stopped, then waits for what is in flight; all of it goes into the record.
pub(crate) async fn drive(
    client: &Client,
    load: &Load,
    seed: u64,
    clock: Clock,
    recorder: &Recorder,
    stop: &CancellationToken,
) {
    let begun = Instant::now();
    let offset = clock.now();
    let mut in_flight = FuturesUnordered::new();
    let mut arrivals = arrivals(load, client.user_count(), seed);
    let mut next = arrivals.next();
    while let Some(arrival) = next {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep_until(begun + arrival.at) => {
                let intended = offset + arrival.at;
                recorder.lag(clock.now().saturating_sub(intended));
                if in_flight.len() >= load.max_in_flight {
                    recorder.operation(dropped(&arrival, intended));
                } else {
                    in_flight.push(send(client, clock, arrival, intended));
                }
                next = arrivals.next();
            }
            Some(operation) = in_flight.next() => {
                recorder.operation(operation);
                next = Some(arrival);
            }
        }
    }
    while let Some(operation) = in_flight.next().await {
        recorder.operation(operation);
    }
}

async fn send(
    client: &Client,
    clock: Clock,
    arrival: arrivals::Arrival,
    intended: Duration,
) -> Operation {
    let sent = clock.now();
    let (outcome, served) = client.send(arrival.kind, arrival.user, arrival.number).await;
    let arrivals::Arrival { number, kind, user, .. } = arrival;
    Operation { number, kind, user, intended, sent, ended: clock.now(), outcome, served }
}

fn dropped(arrival: &arrivals::Arrival, intended: Duration) -> Operation {
    Operation {
        number: arrival.number,
        kind: arrival.kind,
        user: arrival.user,
        intended,
        sent: intended,
        ended: intended,
        outcome: Outcome::Fail(Failure::Dropped),
        served: None,
    }
}

#[cfg(test)]
mod tests;
