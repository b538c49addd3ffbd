//! Takes the name under which the active site counts this standby, once the two are in line.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use topology::wire::agent::BegunTimeline;
use topology::{Epoch, Place, RegionId};
use tracing::{debug, info, warn};

use super::{Done, Tools};
use crate::agent::decide::line::{Line, line};
use crate::agent::postgres::{AFTER_WRITING, Position, Source, Upstream, standby_name};
use crate::agent::relay::Fork;
use crate::agent::successor::begun_timeline;

/// A source that is being started is ready within some tenths of a second, and a barrier may wait.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The same for one that has yet to be promoted, which only who is to be rebuilt waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// How long it may fail before that is told, and everything begins anew.
const LIMIT: Duration = Duration::from_secs(8);

pub(super) struct Join {
    pub(super) tools: Tools,
    pub(super) source: SocketAddr,
    /// Whom to follow, and under which epoch's name.
    pub(super) told: (RegionId, Epoch),
    /// Whose history it is that this site joins, and where that one was elected.
    pub(super) history: Option<(RegionId, Place)>,
    /// Where this site is, if nothing can have moved it since it said so.
    pub(super) own: Option<Place>,
    /// It has been compared with this active site, and has followed nobody else since.
    pub(super) is_in_line: bool,
}

impl Join {
    /// Starts the server first. Where it is not yet known to be in line it follows under a name that
    /// nobody counts: after a rewind it needs WAL of its source before it can be asked anything.
    pub(super) async fn start(mut self) -> anyhow::Result<Done> {
        let postgres = self.tools.postgres.clone();
        if !postgres.is_alone(AFTER_WRITING).await {
            return Ok(Done::NotYet);
        }
        if self.own.is_some_and(|own| line(own, self.elected_at()) == Line::In) {
            let is_far = postgres.way(&self.told.0).is_some();
            let upstream = if is_far { Upstream::nowhere() } else { self.target() };
            postgres.start_standby(&upstream).await.context("start as a standby")?;
            if !is_far {
                return Ok(self.joined());
            }
            // It would ask for the timeline that is over, and be told so, while a barrier waits. What it handed
            // over is where its last record begins; where that ends is, usually, where the other was elected.
            self.own = None;
            return self.take_name().await;
        }
        let upstream = Upstream::uncounted(self.as_source(), &self.tools.site.id);
        postgres.start_standby(&upstream).await.context("start as a standby")?;
        self.take_name().await
    }

    /// Has the running server follow; dropped when the activation moves on.
    pub(super) async fn take_name(mut self) -> anyhow::Result<Done> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let pause = match self.try_once().await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => LOOK_AGAIN,
                // It ended, and has to be started first.
                Err(_) if !self.tools.postgres.is_running() => return Ok(Done::NotYet),
                Err(err) if Instant::now() >= deadline => {
                    warn!(source = %self.source, error = format!("{err:#}"), "not following yet");
                    return Ok(Done::NotYet);
                }
                // The source starts, or is gone; who follows it then is decided elsewhere.
                Err(err) => {
                    debug!(error = format!("{err:#}"), "not following yet");
                    ASK_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns none where this site is apart from a source that has yet to be promoted: until then it may
    /// have to vote for another one, with all it has.
    async fn try_once(&mut self) -> anyhow::Result<Option<Done>> {
        let in_line = self.is_in_line().await?;
        let postgres = &self.tools.postgres;
        if !in_line {
            let promoted = postgres.is_promoted(self.source).await?;
            return Ok(promoted.then_some(Done::Apart));
        }
        self.learn_timeline().await;
        postgres.follow(&self.target())?;
        info!(source = %self.source, epoch = %self.told.1, "following");
        Ok(Some(self.joined()))
    }

    async fn is_in_line(&mut self) -> anyhow::Result<bool> {
        if self.is_in_line {
            return Ok(true);
        }
        let postgres = &self.tools.postgres;
        let own = if let Some(own) = self.own {
            own
        } else {
            let place = postgres.located(postgres.freeze().await?);
            *self.own.insert(place.context("find out where this timeline began")?)
        };
        match line(own, self.elected_at()) {
            Line::In => Ok(true),
            Line::Apart => Ok(false),
            Line::Unknown => {
                let Place { timeline, lsn, .. } = own;
                postgres.is_in_line_with(self.source, Position { timeline, lsn }).await
            }
        }
    }

    /// Where this site is just where the active one was elected, and that is far away, hears from there which
    /// timeline it has begun. Without that PostgreSQL finds it by itself, in more round trips.
    async fn learn_timeline(&self) {
        let Tools { site, http, postgres, shared, .. } = &self.tools;
        let (region, epoch) = &self.told;
        let (Some(own), Some(_)) = (self.own, postgres.way(region)) else { return };
        if self.elected_at() != Some(own) {
            return;
        }
        let taken_up = async {
            let begun = begun_timeline(site, http, shared, region, *epoch).await?;
            postgres.take_up(own, &begun).await?;
            anyhow::Ok(begun)
        };
        match taken_up.await {
            Ok(BegunTimeline { system, timeline, lsn: reached, .. }) => {
                let name = standby_name(&site.id, *epoch);
                let fork = Fork { name, system, timeline, reached, at: own };
                drop(shared.fork.send_replace(Some(fork)));
            }
            Err(err) => {
                info!(%region, %epoch, error = format!("{err:#}"), "the new timeline is not known yet");
            }
        }
    }

    fn elected_at(&self) -> Option<Place> {
        self.history.as_ref().map(|(_, at)| *at)
    }

    fn target(&self) -> Upstream {
        Upstream::to(self.as_source(), &self.tools.site.id, self.told.1)
    }

    fn as_source(&self) -> Source {
        Source { region: self.told.0.clone(), address: self.source }
    }

    fn joined(&self) -> Done {
        Done::Joined { told: self.told.clone(), history: self.history.clone() }
    }
}
