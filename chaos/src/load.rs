//! Open-loop load: requests are sent when they are due, whatever became of earlier ones.
//!
//! No request is repeated unless the drill says so, by nobody behind our back either: the history has how
//! often each was sent.
//! Where the mix has strong reads, a transition that was acknowledged is read back at once besides: that
//! is when a copy that is behind still shows it.

mod answer;
mod arrivals;
pub(crate) mod client;
mod kept;
mod retry;
pub(crate) mod streams;
mod users;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::drill::Load;
use crate::history::{Clock, Effect, Failure, Kind, Operation, Outcome};
use crate::recorder::Recorder;

pub(crate) use arrivals::arrivals;
pub(crate) use client::Client;
use retry::{Retrying, settled};
pub(crate) use users::users;

/// What reads back is numbered from here on, by what it reads back: no load gets this far.
const READ_BACK: u32 = 1 << 31;

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
    let retrying = load.retries.map(|retries| Retrying::new(retries, seed));
    let asking = Asking { client, clock, patience: load.request_timeout, retrying };
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
                    in_flight.push(asking.send(arrival, intended));
                }
                next = arrivals.next();
            }
            Some(operation) = in_flight.next() => {
                if in_flight.len() < load.max_in_flight
                    && let Some(arrival) = read_back(load, &operation)
                {
                    in_flight.push(asking.send(arrival, operation.ended));
                }
                recorder.operation(operation);
                next = Some(arrival);
            }
        }
    }
    while let Some(operation) = in_flight.next().await {
        recorder.operation(operation);
    }
}

/// How users ask.
struct Asking<'a> {
    client: &'a Client,
    clock: Clock,
    /// How long they wait, whatever they do meanwhile.
    patience: Duration,
    retrying: Option<Retrying>,
}

impl Asking<'_> {
    async fn send(&self, arrival: arrivals::Arrival, intended: Duration) -> Operation {
        let Self { client, clock, patience, retrying } = self;
        let sent = clock.now();
        let arrivals::Arrival { number, kind, user, .. } = arrival;
        let from = client.seen_version(user).filter(|_| kind == Kind::Transition);
        if let Some(retrying) = retrying {
            retrying.asked();
        }
        let (mut tries, mut last_try, mut is_uncertain) = (0, Duration::ZERO, false);
        loop {
            tries += 1;
            let left = patience.saturating_sub(last_try);
            let (outcome, served) = client.send(kind, user, number, from, left).await;
            let ended = clock.now();
            let left = patience.saturating_sub(ended.saturating_sub(sent));
            let pause = retrying.as_ref().and_then(|it| it.again(&outcome, number, tries, left));
            let Some(pause) = pause else {
                let outcome = settled(outcome, is_uncertain);
                return Operation {
                    number,
                    kind,
                    user,
                    from,
                    tries,
                    intended,
                    sent,
                    last_try,
                    ended,
                    outcome,
                    served,
                };
            };
            is_uncertain |= matches!(outcome, Outcome::Unknown(_));
            sleep(pause).await;
            last_try = clock.now().saturating_sub(sent);
        }
    }
}

/// Returns the read that follows a transition which was acknowledged.
fn read_back(load: &Load, operation: &Operation) -> Option<arrivals::Arrival> {
    let is_changed = matches!(operation.outcome, Outcome::Ok(Effect::Changed { .. }));
    (is_changed && load.has(Kind::StrongRead)).then(|| arrivals::Arrival {
        number: READ_BACK + operation.number,
        at: operation.ended,
        kind: Kind::StrongRead,
        user: operation.user,
    })
}

fn dropped(arrival: &arrivals::Arrival, intended: Duration) -> Operation {
    Operation {
        number: arrival.number,
        kind: arrival.kind,
        user: arrival.user,
        from: None,
        tries: 0,
        intended,
        sent: intended,
        last_try: Duration::ZERO,
        ended: intended,
        outcome: Outcome::Fail(Failure::Dropped),
        served: None,
    }
}

#[cfg(test)]
mod tests;
