//! Finds the site for a request, and keeps the request waiting while there is none.
//!
//! `decide::hold` says what to do; here it is done: seats, turns, time, and a look at whether the
//! client is still there. The request's body has not been read, so its sender waits too. A read for
//! which `decide::stale` has no more patience goes to a standby instead.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::SocketDigest;
use pingora_proxy::Session;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use topology::Version;

use crate::decide::hold::{Cause, DEADLINE, Step, cause, pause, step};
use crate::decide::retry::Budget;
use crate::decide::stale::{self, Asked, Occasion, occasion};
use crate::forwarding::{Asker, Attempt, Forwarding};
use crate::metrics::{Metrics, Release};
use crate::release::Turn;
use crate::room::{Room, Seat};
use crate::site::Site;
use crate::table::{Applied, Table};

/// How often a waiting request's client is looked for.
const LOOK: Duration = Duration::from_millis(250);
/// `TCP_ESTABLISHED`: the client has neither closed nor reset the connection.
const ESTABLISHED: u8 = 1;
/// Requests released together are spread over this, by their slots.
const SPREAD: u16 = 40;

pub(crate) struct Holder {
    pub(crate) table: Arc<Table>,
    pub(crate) room: Arc<Room>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    TimedOut,
    Full,
    Gone,
}

/// A request that waits.
struct Hold {
    _seat: Seat,
    cause: Cause,
    since: Instant,
    changes: watch::Receiver<()>,
    client: Option<Arc<SocketDigest>>,
}

impl Holder {
    /// Returns where to try next, as soon as the evidence allows.
    pub(crate) async fn place(
        &self,
        session: &mut Session,
        request: &Forwarding,
        asker: &Asker,
        tried: &mut Asked,
    ) -> Result<Attempt, Unplaced> {
        let client = session.digest().and_then(|digest| digest.socket_digest.clone());
        let mut hold = None;
        let placed = self.wait(request, asker, tried, client, &mut hold).await;
        if let Some(hold) = hold {
            let outcome = match &placed {
                Ok(attempt) if attempt.is_stale => Release::Stale,
                Ok(_) => Release::Released,
                Err(Unplaced::TimedOut) => Release::TimedOut,
                Err(Unplaced::Full) => Release::Full,
                Err(Unplaced::Gone) => Release::Gone,
            };
            let seconds = hold.since.elapsed().as_secs_f64();
            self.metrics.hold(hold.cause, outcome).observe(seconds);
        }
        placed
    }

    async fn wait(
        &self,
        request: &Forwarding,
        asker: &Asker,
        tried: &mut Asked,
        client: Option<Arc<SocketDigest>>,
        hold: &mut Option<Hold>,
    ) -> Result<Attempt, Unplaced> {
        let mut turn: Option<Turn> = None;
        loop {
            let applied = self.table.current();
            let found = applied.as_ref().and_then(|applied| applied.find(&asker.aim));
            let target = found.as_ref().map(|(target, _)| *target);
            let waited = request.waited();
            let step = step(&request.evidence, target, waited);
            let occasion = occasion(asker.accepts, step, &request.evidence, target, waited);
            if let Some(standby) = standby(applied.as_deref(), asker, occasion, tried) {
                return Ok(standby);
            }
            let site = found.as_ref().and_then(|(_, cell)| cell.site.clone());
            let until = match (step, site, &found) {
                (Step::GiveUp, ..) => return Err(Unplaced::TimedOut),
                (Step::Wait { until }, ..) => stale::until(asker.accepts, until, waited),
                (Step::Send | Step::SendWithinBudget, Some(site), Some((_, cell))) => {
                    if let (Some(hold), None) = (hold.as_ref(), &turn) {
                        let next = cell.memory.release.turn(site.epoch, spread(asker));
                        let deadline = request.arrived + DEADLINE;
                        turn = Some(hold.until(deadline, next).await?.ok_or(Unplaced::TimedOut)?);
                        // Time has passed: look again before using the turn.
                        continue;
                    }
                    if step == Step::Send || cell.memory.budget(Budget::spend) {
                        let version = applied.as_ref().map(|applied| applied.snapshot.version);
                        return Ok(attempt(site, version.unwrap_or_default(), turn, false));
                    }
                    turn = None;
                    waited + pause(&request.evidence)
                }
                // A snapshot with an active site always has its address.
                (Step::Send | Step::SendWithinBudget, ..) => waited + LOOK,
            };
            let Some(hold) = hold.as_mut() else {
                let why = cause(&request.evidence, target);
                let memory = found.as_ref().map(|(_, cell)| &cell.memory);
                let Some(seat) = self.room.enter(memory) else {
                    self.metrics.hold(why, Release::Full).observe(0.0);
                    return Err(Unplaced::Full);
                };
                // Listen first, then look again: no snapshot falls in between.
                *hold = Some(Hold {
                    _seat: seat,
                    cause: why,
                    since: Instant::now(),
                    changes: self.table.changes(),
                    client: client.clone(),
                });
                continue;
            };
            let mut changes = hold.changes.clone();
            hold.until(request.arrived + until, async { changes.changed().await.is_ok() }).await?;
            hold.changes = changes;
        }
    }
}

impl Hold {
    /// Waits for `event` until then; none if it did not come.
    async fn until<T>(
        &self,
        then: Instant,
        event: impl Future<Output = T>,
    ) -> Result<Option<T>, Unplaced> {
        tokio::select! {
            came = event => Ok(Some(came)),
            () = sleep_until(then) => Ok(None),
            () = gone(self.client.as_deref()) => Err(Unplaced::Gone),
        }
    }
}

/// Returns a try at a standby, where one is to be tried on this occasion.
fn standby(
    applied: Option<&Applied>,
    asker: &Asker,
    occasion: Option<Occasion>,
    tried: &mut Asked,
) -> Option<Attempt> {
    let applied = applied?;
    let site = applied.standby(&asker.aim, occasion?, tried)?;
    Some(attempt(Arc::new(site), applied.snapshot.version, None, true))
}

fn attempt(site: Arc<Site>, version: Version, turn: Option<Turn>, is_stale: bool) -> Attempt {
    Attempt { site, version, is_stale, turn, sent: false, answering: false, body_bytes: 0 }
}

/// Users differ in their slots, which are as good as random.
fn spread(asker: &Asker) -> Duration {
    Duration::from_millis(u64::from(asker.person.slot.number() % SPREAD))
}

/// Resolves when the client has closed its connection. Asks the kernel: the body must stay unread.
async fn gone(client: Option<&SocketDigest>) {
    loop {
        sleep(LOOK).await;
        let state = client.and_then(SocketDigest::tcp_info).map(|info| info.tcpi_state);
        if state.is_some_and(|state| state != ESTABLISHED) {
            return;
        }
    }
}
