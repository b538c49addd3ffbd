//! Follows the active site: as a streaming standby, rebuilt first where its data went elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use topology::address::Port;
use topology::{Epoch, RegionId};
use tracing::{info, warn};

use super::{Done, Keeper, Tools};
use crate::agent::decide::role::Role;
use crate::agent::decide::tenure::Event;
use crate::agent::lost_writes;
use crate::agent::postgres::{Stop, Upstream};

/// How often the stream is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// A standby that has not streamed for this long, from a source that answers, has data of its own
/// that the source does not know: it is rebuilt.
const STREAM_LIMIT: Duration = Duration::from_secs(8);
const STOP_LIMIT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(300);

/// What is known of the standby's stream.
#[derive(Default)]
pub(super) struct Stream {
    /// Whom it follows, as last told.
    told: Option<(RegionId, Epoch)>,
    looked: Option<Instant>,
    broken_since: Option<Instant>,
    /// A rewind has not helped: the next rebuild copies the whole database.
    rewound_in_vain: bool,
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
        *self = Self { rewound_in_vain: self.rewound_in_vain, ..Self::default() };
    }

    /// A rebuild was tried. Should the standby not stream after it, the next one copies everything.
    pub(super) fn was_rebuilt(&mut self) {
        self.rewound_in_vain = true;
    }

    /// The standby could not be started on the data that is there.
    pub(super) fn could_not_start(&mut self) {
        self.forget();
        self.rewound_in_vain = true;
    }
}

impl Keeper {
    pub(super) async fn follow(&mut self, role: Role) {
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
        if !postgres.has_data() || postgres.was_primary() {
            self.stream.forget();
            self.rebuild(role, source);
        } else if !postgres.is_running() {
            self.stream.forget();
            self.stream.told = Some((upstream, epoch));
            self.begin(role, false, start(self.tools.clone(), source, epoch));
        } else if self.stream.told.as_ref() != Some(&(upstream.clone(), epoch)) {
            let target = Upstream::to(source, &self.tools.site.id, epoch);
            match postgres.follow(&target) {
                Ok(()) => {
                    info!(%upstream, %epoch, "following");
                    self.stream.told = Some((upstream, epoch));
                    self.stream.broken_since = None;
                }
                Err(err) => warn!(error = format!("{err:#}"), "not following yet"),
            }
        } else {
            self.look_at_stream(role, source).await;
        }
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
            return;
        }
        let since = *self.stream.broken_since.get_or_insert(now);
        if now < since + STREAM_LIMIT {
            return;
        }
        if answers(source).await {
            warn!(%source, "no stream from a source that answers; rebuilding");
            if let Err(err) = self.tools.postgres.mark_primary() {
                warn!(error = format!("{err:#}"), "rebuild not noted");
            }
            self.stream.forget();
            self.rebuild(role, source);
        } else {
            self.stream.broken_since = None;
        }
    }

    fn rebuild(&mut self, role: Role, source: SocketAddr) {
        let how = if self.stream.rewound_in_vain { Rebuild::Copy } else { Rebuild::RewindOrCopy };
        self.begin(role, true, rebuild(self.tools.clone(), source, how));
    }
}

async fn answers(source: SocketAddr) -> bool {
    matches!(tokio::time::timeout(CONNECT, TcpStream::connect(source)).await, Ok(Ok(_)))
}

async fn start(tools: Tools, source: SocketAddr, epoch: Epoch) -> anyhow::Result<Done> {
    let upstream = Upstream::to(source, &tools.site.id, epoch);
    tools.postgres.start_standby(&upstream).await.context("start as a standby")?;
    Ok(Done::Following)
}

/// Makes the data directory one that can follow; the next step starts it.
async fn rebuild(tools: Tools, source: SocketAddr, how: Rebuild) -> anyhow::Result<Done> {
    tools.postgres.stop(Stop::Fast, STOP_LIMIT).await?;
    let (site, folder) = (&tools.site.id, tools.site.folder().join("lost"));
    let diverged = tools.postgres.may_have_diverged();
    // Before it is a primary nobody can say where the histories part.
    if diverged && !tools.postgres.is_promoted(source).await.unwrap_or(false) {
        return Ok(Done::NotYet);
    }
    if diverged && let Err(err) = lost_writes::keep(site, &folder, &tools.postgres, source).await {
        // What cannot be kept must not keep the site from standing by again.
        warn!(error = format!("{err:#}"), "writes that only this site had could not be kept");
    }
    let rebuilt = match how {
        Rebuild::RewindOrCopy => tools.postgres.rejoin(source).await,
        Rebuild::Copy => tools.postgres.copy_from(source).await,
    };
    rebuilt.context("rebuild from the active site")?;
    Ok(Done::Rebuilt)
}
