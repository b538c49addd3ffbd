//! Finds the site for a request, and keeps the request waiting while there is none.
//!
//! `decide::hold` says what to do; here it is done: seats, turns, time, and a look at whether the
//! client is still there. The request's body has not been read, so its sender waits too. A read for
//! which `decide::stale` has no more patience goes to a standby instead.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::SocketDigest;
use pingora_core::protocols::http::ServerSession as HttpSession;
use pingora_proxy::Session;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use topology::{CellId, Version};

use crate::cell::{Cell, Memory};
use crate::decide::hold::{Cause, DEADLINE, Evidence, Step, cause, pause, step};
use crate::decide::release::Share;
use crate::decide::retry::Budget;
use crate::decide::stale::{self, Asked, Occasion, occasion};
use crate::defect;
use crate::forwarding::{Asker, Attempt, Forwarding};
use crate::load::Place;
use crate::metrics::{Metrics, Refusal, Release, Retry};
use crate::protection::Protection;
use crate::release::Turn;
use crate::room::{Room, Seat};
use crate::site::Site;
use crate::table::{Applied, Table};

/// How often a waiting request's client is looked for.
const LOOK: Duration = Duration::from_millis(250);
/// `TCP_ESTABLISHED`: the client has neither closed nor reset the connection.
const ESTABLISHED: u8 = 1;
/// Before a held request looks again whether its cell has a place for it.
const CROWDED: Duration = Duration::from_millis(50);
/// Requests released together are spread over this, by their slots.
const SPREAD: u16 = 40;

pub(crate) struct Holder {
    pub(crate) table: Arc<Table>,
    pub(crate) room: Arc<Room>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) protection: Arc<Protection>,
    /// The longest there is to a site.
    pub(crate) round_trip: Duration,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    TimedOut,
    Full,
    Gone,
    /// The cell's share of requests under way is in use.
    Overloaded,
    /// The cell's breaker is open for that long.
    Unavailable {
        wait: Duration,
    },
}

/// A request that waits.
struct Hold {
    _seat: Seat,
    cause: Cause,
    since: Instant,
    changes: watch::Receiver<()>,
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
        let mut hold = None;
        let bytes = weight(session);
        let gone = pin!(gone(session));
        let placed = self.wait(request, asker, tried, (gone, bytes), &mut hold).await;
        if let Some(hold) = hold {
            let outcome = match &placed {
                Ok(attempt) if attempt.is_stale => Release::Stale,
                Ok(_) => Release::Released,
                Err(Unplaced::TimedOut) => Release::TimedOut,
                Err(Unplaced::Full) => Release::Full,
                Err(Unplaced::Gone) => Release::Gone,
                Err(Unplaced::Overloaded | Unplaced::Unavailable { .. }) => Release::Refused,
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
        (mut gone, bytes): (Pin<&mut impl Future<Output = ()>>, usize),
        hold: &mut Option<Hold>,
    ) -> Result<Attempt, Unplaced> {
        let mut turn: Option<Turn> = None;
        loop {
            let applied = self.table.current();
            let found = applied.as_ref().and_then(|applied| applied.find(asker.whose()));
            let target = found.as_ref().map(|(target, _)| *target);
            let waited = request.waited();
            let step = step(&request.evidence, target, waited);
            let occasion = occasion(asker.accepts, step, &request.evidence, target, waited);
            if let Some(standby) = self.standby(applied.as_deref(), asker, occasion, tried) {
                return Ok(standby);
            }
            let cells = applied.as_ref().map_or(1, |applied| applied.snapshot.cells.len());
            let site = found.as_ref().and_then(|(_, cell)| cell.site.clone());
            let until = match (step, site, &found) {
                (Step::GiveUp, site, _) => {
                    self.in_vain(request, site.as_deref(), found.as_ref().map(|(_, cell)| *cell));
                    return Err(Unplaced::TimedOut);
                }
                (Step::Wait { until }, ..) => stale::until(asker.accepts, until, waited),
                (Step::Send | Step::SendWithinBudget, Some(site), Some((target, cell))) => {
                    if let (Some(hold), None) = (hold.as_ref(), &turn) {
                        let most = self.protection.share(asker, cells);
                        let share = Share::over(self.round_trip, most);
                        let next = cell.memory.release.turn(site.epoch, share, spread(asker));
                        let deadline = request.arrived + DEADLINE;
                        turn = Some(
                            hold.until(deadline, next, gone.as_mut())
                                .await?
                                .ok_or(Unplaced::TimedOut)?,
                        );
                        // Time has passed: look again before using the turn.
                        continue;
                    }
                    let may_send = step == Step::Send || self.repeats(target.cell, &cell.memory);
                    if may_send {
                        match self.protection.send(asker, &site, &cell.memory, cells) {
                            Ok(place) => {
                                let version = applied.as_ref().map(|now| now.snapshot.version);
                                let version = version.unwrap_or_default();
                                let site = defect::instead_of(site, request, asker);
                                return Ok(attempt(site, version, turn, place, false));
                            }
                            // It has waited its time already, and the pace of release lets few go.
                            Err(Unplaced::Overloaded) if hold.is_some() && waited < DEADLINE => {
                                turn = None;
                                waited + CROWDED
                            }
                            Err(why) => {
                                let instead = stale::instead(asker.accepts);
                                let standby =
                                    self.standby(applied.as_deref(), asker, instead, tried);
                                self.count_refusal(target.cell, why, standby.is_some());
                                return standby.ok_or(why);
                            }
                        }
                    } else {
                        turn = None;
                        waited + pause(&request.evidence)
                    }
                }
                // A snapshot with an active site always has its address.
                (Step::Send | Step::SendWithinBudget, ..) => waited + LOOK,
            };
            let Some(hold) = hold.as_mut() else {
                let why = cause(&request.evidence, target);
                let memory = found.as_ref().map(|(_, cell)| &cell.memory);
                let Some(seat) = self.room.enter(memory, cells, bytes) else {
                    self.metrics.hold(why, Release::Full).observe(0.0);
                    return Err(Unplaced::Full);
                };
                // Listen first, then look again: no snapshot falls in between.
                *hold = Some(Hold {
                    _seat: seat,
                    cause: why,
                    since: Instant::now(),
                    changes: self.table.changes(),
                });
                continue;
            };
            let mut changes = hold.changes.clone();
            let change = async { changes.changed().await.is_ok() };
            hold.until(request.arrived + until, change, gone.as_mut()).await?;
            hold.changes = changes;
        }
    }
}

impl Holder {
    /// Returns a try at a standby, where one is to be tried on this occasion.
    fn standby(
        &self,
        applied: Option<&Applied>,
        asker: &Asker,
        occasion: Option<Occasion>,
        tried: &mut Asked,
    ) -> Option<Attempt> {
        let (applied, occasion) = (applied?, occasion?);
        let (_, cell) = applied.find(asker.whose())?;
        let place = self.protection.place(asker, &cell.memory, applied.snapshot.cells.len())?;
        let site = applied.standby(asker.whose(), occasion, tried)?;
        Some(attempt(Arc::new(site), applied.snapshot.version, None, place, true))
    }

    /// Notes that a request has waited to the end for a site that should serve and was not there.
    fn in_vain(&self, request: &Forwarding, site: Option<&Site>, cell: Option<&Cell>) {
        if let (Evidence::Unreachable { epoch, .. }, Some(site), Some(cell)) =
            (&request.evidence, site, cell)
            && site.epoch == *epoch
        {
            self.protection.failed(&cell.memory, site);
        }
    }

    /// Takes a repetition out of the cell's budget, if there is one left.
    fn repeats(&self, id: &CellId, cell: &Memory) -> bool {
        let is_within = cell.budget(Budget::spend);
        self.metrics.retry(id, if is_within { Retry::Sent } else { Retry::OverBudget });
        is_within
    }

    fn count_refusal(&self, cell: &CellId, why: Unplaced, is_answered: bool) {
        let reason = match why {
            Unplaced::Overloaded => Refusal::Overloaded,
            Unplaced::Unavailable { .. } if !is_answered => Refusal::Unavailable,
            Unplaced::Unavailable { .. } | Unplaced::TimedOut | Unplaced::Full | Unplaced::Gone => {
                return;
            }
        };
        self.metrics.refused(cell, reason);
    }
}

impl Hold {
    /// Waits for `event` until then; none if it did not come.
    async fn until<T>(
        &self,
        then: Instant,
        event: impl Future<Output = T>,
        gone: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<T>, Unplaced> {
        tokio::select! {
            came = event => Ok(Some(came)),
            () = sleep_until(then) => Ok(None),
            () = gone => Err(Unplaced::Gone),
        }
    }
}

fn attempt(
    site: Arc<Site>,
    version: Version,
    turn: Option<Turn>,
    place: Place,
    is_stale: bool,
) -> Attempt {
    Attempt { site, version, is_stale, turn, place, sent: false, answering: false, body_bytes: 0 }
}

/// Returns how much memory a request takes while it waits: its head, and what is kept of its body.
fn weight(session: &Session) -> usize {
    let head = if let Some(session) = session.as_http1() {
        session.get_headers_raw_bytes().len()
    } else {
        let headers = session.req_header().headers.iter();
        headers.map(|(name, value)| name.as_str().len() + value.len()).sum()
    };
    head + session.as_ref().get_retry_buffer().map_or(0, |body| body.len())
}

/// Users differ in their slots, which are as good as random.
fn spread(asker: &Asker) -> Duration {
    Duration::from_millis(u64::from(asker.person.slot.number() % SPREAD))
}

/// Resolves when the client has closed its connection, or has taken this request back by HTTP/2.
async fn gone(session: &mut Session) {
    let client = session.digest().and_then(|digest| digest.socket_digest.clone());
    let closed = closed(client.as_deref());
    let HttpSession::H2(request) = session.as_downstream_mut() else { return closed.await };
    tokio::select! {
        () = closed => {}
        // An error is an end too.
        _ = request.idle() => {}
    }
}

/// Asks the kernel: the body must stay unread. Asks at once, for many a wait is shorter than a look.
async fn closed(client: Option<&SocketDigest>) {
    loop {
        let state = client.and_then(SocketDigest::tcp_info).map(|info| info.tcpi_state);
        if state.is_some_and(|state| state != ESTABLISHED) {
            return;
        }
        sleep(LOOK).await;
    }
}
