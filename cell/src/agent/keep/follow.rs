//! Follows the active site: as a streaming standby, rebuilt first where its data went elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use topology::address::Port;
use topology::{Activation, Epoch, Place, RegionId};
use tracing::warn;

use super::join::Join;
use super::{Done, Keeper, PAUSE, Tools};
use crate::agent::decide::folder::Next;
use crate::agent::decide::role::Role;
use crate::agent::decide::tenure::Event;
use crate::agent::lost_writes;
use crate::agent::postgres::{AFTER_WRITING, Own, Stop};

/// How often the stream is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// A standby that has not streamed for this long, from a source that answers all the time, has data of its own
/// that the source does not know: it is rebuilt.
const STREAM_LIMIT: Duration = Duration::from_secs(8);
/// How often a site tries to keep what only it has, and how long it waits in between. What has failed
/// so often fails again, and the cell needs its standby: the whole database is set aside instead.
const KEEP_TRIES: u32 = 6;
const KEEP_PAUSE: Duration = Duration::from_secs(5);
const STOP_LIMIT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(300);
/// A program that connects and asks one question, over the longest way.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a site that has handed over leaves the machine to its successor, where that does without
/// it: starting takes as much of it as opening an epoch does.
const AFTER_YOU: Duration = Duration::from_millis(600);

/// What is known of the standby's stream.
#[derive(Default)]
pub(super) struct Stream {
    /// Whom it follows, under the epoch's name.
    told: Option<(RegionId, Epoch)>,
    /// Whose history is known to have everything that is here, and where that one was elected.
    in_line: Option<(RegionId, Place)>,
    looked: Option<Instant>,
    broken_since: Option<Instant>,
    /// A rewind has not helped: the next rebuild copies the whole database.
    rewound_in_vain: bool,
    /// How often in a row what only this site has could not be kept.
    not_kept: u32,
}

/// How the data directory is brought back in line.
#[derive(Clone, Copy)]
enum Rebuild {
    RewindOrCopy,
    Copy,
}

impl Stream {
    /// The server was started otherwise, or frozen: it must be told again whom to follow.
    pub(super) fn forget(&mut self) {
        let Self { rewound_in_vain, not_kept, .. } = *self;
        *self = Self { rewound_in_vain, not_kept, ..Self::default() };
    }

    /// A rebuild was tried. Should the standby not stream after it, the next one copies everything.
    pub(super) fn was_rebuilt(&mut self) {
        self.rewound_in_vain = true;
        self.not_kept = 0;
    }

    /// The standby could not be started on the data that is there.
    pub(super) fn could_not_start(&mut self) {
        self.forget();
        self.rewound_in_vain = true;
    }
}

impl Keeper {
    pub(super) async fn follow(&mut self, role: Role, activation: &Activation) {
        let Role::Follow { upstream, epoch } = &role else { return };
        let (upstream, epoch) = (upstream.clone(), *epoch);
        self.end_serving(Event::Superseded).await;
        self.tools.shared.standing.send_if_modified(|standing| {
            let later = standing.epoch < epoch;
            standing.epoch = standing.epoch.max(epoch);
            later
        });
        let source = self.tools.site.peer_address(&upstream, Port::Postgres);
        let postgres = &self.tools.postgres;
        if postgres.next() != Next::Follow {
            self.stream.forget();
            self.rebuild(role, source);
        } else if !postgres.is_running() {
            if self.lets_go_first(activation) {
                return;
            }
            self.stream.forget();
            let join = self.join((upstream, epoch), source, activation);
            self.begin(role, false, join.start());
        } else if self.stream.told.as_ref() != Some(&(upstream.clone(), epoch)) {
            let join = self.join((upstream, epoch), source, activation);
            self.begin(role, false, join.take_name());
        } else {
            self.look_at_stream(role, source).await;
        }
    }

    /// Whether this site has just handed over to one on its own machine, whose barrier others pass.
    fn lets_go_first(&self, activation: &Activation) -> bool {
        if !self.tools.site.spec.round_trip.is_zero() {
            return false;
        }
        let me = &self.tools.site.id.region;
        let others = activation.voters.iter().filter(|voter| *voter != me).count();
        others >= activation.acks
            && self.stopped.is_some_and(|stopped| {
                stopped.epoch.next() == activation.epoch && stopped.at.elapsed() < AFTER_YOU
            })
    }

    fn join(&self, told: (RegionId, Epoch), source: SocketAddr, activation: &Activation) -> Join {
        let history = activation.holder().cloned().zip(activation.elected_at);
        let stopped = self.stopped.and_then(|stopped| Some((stopped.epoch, stopped.place?)));
        let frozen = self.frozen.map(|frozen| (frozen.epoch, frozen.place));
        let own = [frozen, stopped].into_iter().flatten();
        let own = own.filter(|(voted, _)| voted.next() == told.1).map(|(_, place)| place).next();
        Join {
            tools: self.tools.clone(),
            source,
            told,
            own,
            is_in_line: history.is_some() && self.stream.in_line == history,
            history,
        }
    }

    /// From now on this site moves on with its source.
    pub(super) fn joined(&mut self, told: (RegionId, Epoch), history: Option<(RegionId, Place)>) {
        self.frozen = None;
        self.stream.told = Some(told);
        self.stream.broken_since = None;
        self.stream.in_line = history;
    }

    pub(super) fn is_apart(&mut self, role: &Role) {
        warn!(%role, "this site has what the cell's history goes on without; rebuilding");
        if let Err(err) = self.tools.postgres.mark_apart() {
            warn!(error = format!("{err:#}"), "rebuild not noted");
            self.not_before = Instant::now() + PAUSE;
        }
        self.frozen = None;
        self.stream.forget();
    }

    pub(super) fn could_not_keep(&mut self, reason: String) {
        self.stream.not_kept += 1;
        self.not_before = Instant::now() + KEEP_PAUSE;
        self.tools.shared.not_kept.send_replace(Some(reason));
    }

    async fn look_at_stream(&mut self, role: Role, source: SocketAddr) {
        let now = Instant::now();
        if self.stream.looked.is_some_and(|looked| now < looked + LOOK) {
            return;
        }
        self.stream.looked = Some(now);
        if self.tools.postgres.is_streaming().await {
            self.stream.broken_since = None;
            self.stream.rewound_in_vain = false;
            if self.tools.postgres.has_old() {
                self.begin(role, false, forget_old(self.tools.clone()));
            }
            return;
        }
        self.begin(role, false, ask(self.tools.clone(), source));
    }

    /// Nothing is streamed, and the source has been asked whether it is there. One that comes and goes says
    /// nothing of this site's data, and the time begins anew.
    pub(super) fn source_asked(&mut self, role: Role, answers: bool) {
        let Role::Follow { upstream, .. } = &role else { return };
        let source = self.tools.site.peer_address(upstream, Port::Postgres);
        let now = Instant::now();
        if !answers {
            self.stream.broken_since = None;
            return;
        }
        if now < *self.stream.broken_since.get_or_insert(now) + STREAM_LIMIT {
            return;
        }
        warn!(%source, "no stream from a source that answers; rebuilding");
        if let Err(err) = self.tools.postgres.mark_out_of_line() {
            warn!(error = format!("{err:#}"), "rebuild not noted");
        }
        self.stream.forget();
        self.rebuild(role, source);
    }

    fn rebuild(&mut self, role: Role, source: SocketAddr) {
        let how = if self.stream.rewound_in_vain { Rebuild::Copy } else { Rebuild::RewindOrCopy };
        let is_last_try = self.stream.not_kept >= KEEP_TRIES;
        self.begin(role, true, rebuild(self.tools.clone(), source, how, is_last_try));
    }
}

/// Asks whether the source is a primary that answers questions. To take a connection is not enough: a
/// server without room in its disk takes some each time it is started.
async fn ask(tools: Tools, source: SocketAddr) -> anyhow::Result<Done> {
    let listens = matches!(timeout(CONNECT, TcpStream::connect(source)).await, Ok(Ok(_)));
    let asked = timeout(ANSWER, tools.postgres.is_promoted(source));
    let answers = listens && matches!(asked.await, Ok(Ok(true)));
    Ok(Done::SourceAsked { answers })
}

/// The database that a copy took the place of is not needed any more.
async fn forget_old(tools: Tools) -> anyhow::Result<Done> {
    if let Err(err) = tools.postgres.forget_old().await {
        // It takes up room, and is no reason to follow any less.
        warn!(error = format!("{err:#}"), "old database not removed");
    }
    Ok(Done::Following)
}

/// Makes the data directory one that can follow; the next step starts it. After the last try nothing
/// is kept otherwise than by setting the whole database aside.
async fn rebuild(
    tools: Tools,
    source: SocketAddr,
    how: Rebuild,
    is_last_try: bool,
) -> anyhow::Result<Done> {
    let postgres = &tools.postgres;
    postgres.stop(Stop::Fast, STOP_LIMIT).await?;
    // Before anything is read there, too: what one of them still writes is lost unreported otherwise.
    if !postgres.is_alone(AFTER_WRITING).await {
        return Ok(Done::NotYet);
    }
    match postgres.next() {
        Next::PutBack => {
            postgres.put_back()?;
            return Ok(Done::NotYet);
        }
        Next::Copy | Next::Follow => {
            // What a rewind has half rewritten was kept before it began; what is no database any more
            // was not.
            let is_unreported = postgres.has_own_writes() && !postgres.is_rewinding();
            let own = if is_unreported { Own::Unreported } else { Own::Kept };
            postgres.copy_from(source, own).await.context("copy the active site")?;
            return Ok(Done::Rebuilt);
        }
        Next::Rejoin => {}
    }
    // Before it is a primary nobody can say where the histories part.
    if !postgres.is_promoted(source).await.unwrap_or(false) {
        return Ok(Done::NotYet);
    }
    let folder = tools.site.folder().join("lost");
    let mut own = Own::Kept;
    if let Err(err) = lost_writes::keep(&tools.site.id, &folder, postgres, source).await {
        let reason = format!("{err:#}");
        warn!(error = reason, "writes that only this site had are not kept");
        match (postgres.has_own_writes(), is_last_try) {
            (true, false) => return Ok(Done::NotKept(reason)),
            (true, true) => own = Own::Unreported,
            // A standby whose database is damaged: what it had came from an active site.
            (false, _) => {}
        }
    }
    let rebuilt = match (how, own) {
        (Rebuild::RewindOrCopy, Own::Kept) => postgres.rejoin(source).await,
        (Rebuild::Copy, _) | (_, Own::Unreported) => postgres.copy_from(source, own).await,
    };
    rebuilt.context("rebuild from the active site")?;
    Ok(Done::Rebuilt)
}
