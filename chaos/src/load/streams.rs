//! Users who hold a stream of their conversation through the whole run, and open it again when it ends.
//!
//! As a browser does, they say which number they heard last, and write down whatever they are told: what
//! comes twice is there twice. Streams are no requests of the load: they are in none of its numbers, and
//! have connections of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use runtime::sse::{Message, NoStream};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use topology::CellId;

use super::Client;
use super::answer::{failure, refusal, served};
use crate::course::ConversationRead;
use crate::drill::Load;
use crate::history::{Clock, End, Failure, Step, StreamStep, User, unmark};
use crate::recorder::Recorder;

/// The longest pause after a connection; it doubles with each in a row that came to nothing.
const BACKOFF: Duration = Duration::from_millis(100);
/// What the platform tells browsers to wait (`retry:`).
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A connection that is over before has come to nothing.
const LIVED: Duration = Duration::from_secs(1);
/// A stream that is open tells within milliseconds, and one that is not is opened within seconds.
const HEARD: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);

/// What a stream tells of a message.
#[derive(Deserialize)]
struct Told {
    seq: u64,
    id: String,
    client_message_id: Option<String>,
}

/// Returns who holds a stream: of each cell as many, as far as it goes.
pub(crate) fn streaming(users: &[User], count: usize) -> Vec<usize> {
    let mut of_cells: BTreeMap<&CellId, Vec<usize>> = BTreeMap::new();
    for (number, user) in users.iter().enumerate() {
        of_cells.entry(&user.cell).or_default().push(number);
    }
    let turns = of_cells.values().map(Vec::len).max().unwrap_or(0);
    let by_turn = (0..turns)
        .flat_map(|turn| of_cells.values().filter_map(move |users| users.get(turn).copied()));
    by_turn.take(count).collect()
}

/// Holds the streams until stopped.
pub(crate) async fn hold(
    client: &Client,
    load: &Load,
    users: &[usize],
    seed: u64,
    clock: Clock,
    recorder: &Recorder,
    stop: &CancellationToken,
) {
    let streams = users.iter().map(|user| {
        let random = StdRng::seed_from_u64(seed ^ *user as u64);
        let patience = load.request_timeout;
        Stream { client, user: *user, patience, clock, recorder, random }.hold(stop)
    });
    join_all(streams).await;
}

/// Waits until each stream has told what is in its conversation now, within bounds.
pub(crate) async fn hear_out(client: &Client, users: &[usize], recorder: &Recorder) {
    let all = join_all(users.iter().map(|user| async move {
        // What cannot be read now is read again with everything else, or else not known.
        let ConversationRead::Messages(stored) = client.read_conversation(*user).await else {
            return;
        };
        let last = stored.last().map(|(seq, _)| *seq);
        while recorder.last_heard(*user) < last {
            sleep(LOOK).await;
        }
    }));
    // Whoever has not been told by then is for the check to judge.
    drop(timeout(HEARD, all).await);
}

/// One user's stream.
struct Stream<'a> {
    client: &'a Client,
    user: usize,
    /// How long a stream may take to begin: as long as any answer.
    patience: Duration,
    clock: Clock,
    recorder: &'a Recorder,
    random: StdRng,
}

impl Stream<'_> {
    async fn hold(mut self, stop: &CancellationToken) {
        let (mut after, mut failures) = (None, 0);
        for connection in 1.. {
            self.record(connection, Step::Asked { after });
            let begun = Instant::now();
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => End::Stopped,
                end = self.follow(connection, &mut after) => end,
            };
            let is_over = end == End::Stopped;
            self.record(connection, Step::Ended(end));
            if is_over {
                return;
            }
            failures = if begun.elapsed() >= LIVED { 0 } else { failures + 1 };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause(failures, self.random.random())) => {}
            }
        }
    }

    /// Listens to one connection to its end.
    async fn follow(&self, connection: u32, after: &mut Option<u64>) -> End {
        let opened = self.client.open_stream(self.user, *after, self.patience).await;
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(NoStream::Refused(answer)) => return End::Failed(refusal(&answer)),
            Err(NoStream::Lost(err)) => return End::Failed(failure(&err)),
        };
        self.record(connection, Step::Opened(served(stream.headers())));
        loop {
            let message = match stream.next().await {
                Ok(Some(message)) => message,
                Ok(None) => return End::Closed,
                Err(err) => return End::Failed(failure(&err)),
            };
            match message.event.as_str() {
                "message.created" => {
                    let Some(Told { seq, id, client_message_id }) = told(&message) else {
                        return End::Failed(Failure::Malformed);
                    };
                    *after = Some(seq);
                    let mark = client_message_id.as_deref();
                    let number = mark.and_then(|mark| unmark(self.client.run(), mark));
                    self.record(connection, Step::Heard { seq, id, number });
                }
                "moved" => return End::Moved,
                // Tickets are no messages and have no number.
                _ => {}
            }
        }
    }

    fn record(&self, connection: u32, step: Step) {
        let at = self.clock.now();
        self.recorder.stream(StreamStep { user: self.user, connection, at, step });
    }
}

/// Reads a message; none where the number that a client comes back with is not the message's own.
fn told(message: &Message) -> Option<Told> {
    let told: Told = serde_json::from_str(&message.data).ok()?;
    let resumed: u64 = message.id.as_deref()?.parse().ok()?;
    (resumed == told.seq).then_some(told)
}

/// Returns the pause after so many connections in a row that came to nothing. No two users wait alike.
fn pause(failures: u32, share: f64) -> Duration {
    let longest = BACKOFF.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_MAX);
    longest.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests;
