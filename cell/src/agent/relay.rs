//! The way by which WAL comes from sites that are far away.
//!
//! A standby that changes its source opens a connection first: four round trips, for TCP and the
//! password, while users wait for the barrier. Here they are made ahead. To every site that may be the next
//! active one a connection is kept that is logged in, under the name that the epoch of that site would count.
//! PostgreSQL connects to a socket of its agent, in a folder that only its user may enter, hears what
//! the server had said, and from then on the agent passes on what both say.
//!
//! What is not there ahead is opened when it is asked for. Over a connection that is kept nothing is
//! asked: it counts for no commit. PostgreSQL ends with its agent.

mod door;
mod splice;

use std::fs::{self, DirBuilder};
use std::future::pending;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use topology::address::Port;
use topology::spec::Cell;
use topology::{RegionId, SiteId};
use tracing::{debug, info, warn};

use super::decide::ahead::{Ahead, ahead};
use super::postgres::{Binaries, Head, Kept, Postgres, SOCKET_PORT, standby_name};
use super::shared::Shared;
use crate::config::Site;

use door::{name_asked, refusal};
pub(crate) use splice::Fork;

/// What a socket's address has room for, less the zero at its end.
const PATH_MAX: usize = 107;
/// Of its ten senders a server needs one for each standby, one for who keeps a connection to it, and some
/// for copies and questions. Cells of more sites are followed directly.
const OTHERS_MAX: usize = 3;
/// Before another one is opened ahead.
const AGAIN: Duration = Duration::from_secs(2);
/// PostgreSQL, on this machine, says at once who it is.
const NAME: Duration = Duration::from_millis(500);
/// Before the next one is heard where one could not be: there may be room for it then.
const UNHEARD: Duration = Duration::from_millis(50);
const BUFFER: usize = 64 * 1024;

/// The way from one region.
pub(crate) struct Relay {
    pub(crate) region: RegionId,
    /// The folder with the socket.
    pub(crate) folder: PathBuf,
    server: SocketAddr,
    /// The longest there is between regions.
    round_trip: Duration,
    listener: UnixListener,
}

/// What is passed on, until one of both sides ends it.
type Passing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens a site's ways; none on one machine, where a round trip is nothing.
pub(crate) fn open(site: &Site, binaries: &Binaries) -> Vec<Relay> {
    let cell = site.spec.cell(&site.id.cell).into_iter();
    let others = cell.flat_map(Cell::regions);
    let others: Vec<_> = others.filter(|region| **region != site.id.region).collect();
    if site.spec.round_trip.is_zero() || others.len() > OTHERS_MAX {
        return Vec::new();
    }
    let mut ways = Vec::new();
    for region in others {
        let folder = site.folder().join("relay").join(region.as_str());
        let server = site.peer_address(region, Port::Postgres);
        match Relay::listen(region.clone(), (server, site.spec.round_trip), folder, binaries) {
            Ok(way) => ways.push(way),
            Err(err) => {
                let error = format!("{err:#}");
                warn!(%region, error, "WAL comes directly: changing to that source takes longer");
            }
        }
    }
    ways
}

impl Relay {
    fn listen(
        region: RegionId,
        (server, round_trip): (SocketAddr, Duration),
        folder: PathBuf,
        binaries: &Binaries,
    ) -> anyhow::Result<Self> {
        let socket = folder.join(format!(".s.PGSQL.{SOCKET_PORT}"));
        let length = socket.as_os_str().len();
        ensure!(length <= PATH_MAX, "{} is too long for a socket", socket.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("make {}", folder.display()))?;
        if socket.exists() {
            fs::remove_file(&socket).with_context(|| format!("remove {}", socket.display()))?;
        }
        let listener = UnixListener::bind(&socket);
        let listener = listener.with_context(|| format!("listen at {}", socket.display()))?;
        // PostgreSQL's user enters both, and nobody else.
        binaries.own(folder.parent().context("find the folder of all ways")?)?;
        binaries.own(&folder)?;
        Ok(Self { region, folder, server, round_trip, listener })
    }

    pub(crate) async fn run(
        self,
        own: SiteId,
        postgres: Arc<Postgres>,
        shared: Arc<Shared>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut known = shared.known.subscribe();
        let mut kept: Option<Kept> = None;
        let mut passing: Option<Passing> = None;
        let mut not_before = Instant::now();
        // Who has been heard in part is not forgotten when something else happens.
        let mut asked = pin!(self.asked());
        loop {
            let told = known.borrow_and_update().as_ref().map_or(Ahead::AsBefore, |known| {
                ahead(known.activation(), &own.region, &self.region)
            });
            let missing = match told {
                Ahead::Under(epoch) => {
                    let name = standby_name(&own, epoch);
                    kept = kept.filter(|kept| kept.name == name);
                    kept.is_none().then_some(name)
                }
                // Its record may be heard of before its standby knows which timeline to ask for.
                Ahead::Opened(epoch) => {
                    let name = standby_name(&own, epoch);
                    kept = kept.filter(|kept| kept.name == name);
                    None
                }
                Ahead::Nobody => {
                    kept = None;
                    None
                }
                Ahead::AsBefore => None,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                (client, name) = &mut asked => {
                    asked.set(self.asked());
                    let fits = |kept: &mut Kept| kept.name == name && kept.is_open();
                    let kept = kept.take_if(fits);
                    // A server has one receiver: with a new one the one before is over.
                    let fork = shared.fork.borrow().clone().filter(|fork| fork.name == name);
                    let postgres = Arc::clone(&postgres);
                    passing = Some(Box::pin(self.pass(postgres, client, name, kept, fork)));
                }
                () = ended(passing.as_mut()) => passing = None,
                changed = known.changed() => changed.context("hear of the cell's record")?,
                () = gone(kept.as_ref()) => {
                    debug!(region = %self.region, "a connection that was kept has ended");
                    kept = None;
                    not_before = Instant::now() + AGAIN;
                }
                opened = self.open_ahead(&postgres, missing.as_deref(), not_before) => match opened {
                    Ok(opened) => kept = Some(opened),
                    Err(err) => {
                        debug!(region = %self.region, error = format!("{err:#}"), "not kept yet");
                        not_before = Instant::now() + AGAIN;
                    }
                },
            }
        }
    }

    /// Waits for PostgreSQL, and hears under which name it wants to replicate.
    async fn asked(&self) -> (UnixStream, String) {
        loop {
            let heard = async {
                let (mut client, _) = self.listener.accept().await.context("hear PostgreSQL")?;
                let name = timeout(NAME, name_asked(&mut client)).await;
                anyhow::Ok((client, name.context("hear a name in time")??))
            };
            match heard.await {
                Ok(asked) => return asked,
                Err(err) => {
                    debug!(region = %self.region, error = format!("{err:#}"), "not heard");
                    sleep(UNHEARD).await;
                }
            }
        }
    }

    async fn open_ahead(
        &self,
        postgres: &Postgres,
        missing: Option<&str>,
        not_before: Instant,
    ) -> anyhow::Result<Kept> {
        let Some(name) = missing else { return pending().await };
        sleep_until(not_before).await;
        postgres.log_in(self.server, name, self.round_trip).await
    }

    fn pass(
        &self,
        postgres: Arc<Postgres>,
        client: UnixStream,
        name: String,
        kept: Option<Kept>,
        fork: Option<Fork>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (region, server, round_trip) = (self.region.clone(), self.server, self.round_trip);
        async move {
            let was_kept = kept.is_some();
            let known = match fork {
                Some(fork) => head(&postgres, fork).await,
                None => None,
            };
            let opening = async {
                let opened = match kept {
                    Some(kept) => kept,
                    None => postgres.log_in(server, &name, round_trip).await?,
                };
                info!(%region, name, was_kept, "passing WAL on");
                Ok(opened)
            };
            if let Err(err) = pass(client, opening, known).await {
                debug!(%region, name, error = format!("{err:#}"), "WAL comes no more");
            }
        }
    }
}

/// Reads what is here of the file in which a timeline forks off. Without it all of it is sent again.
async fn head(postgres: &Arc<Postgres>, fork: Fork) -> Option<(Fork, Head)> {
    let (postgres, at) = (Arc::clone(postgres), fork.at);
    let read = tokio::task::spawn_blocking(move || postgres.head(at)).await;
    match read.map_err(anyhow::Error::from).and_then(|read| read) {
        Ok(head) => Some((fork, head)),
        Err(err) => {
            info!(
                name = fork.name,
                error = format!("{err:#}"),
                "WAL comes from the file's beginning"
            );
            None
        }
    }
}

async fn pass(
    mut client: UnixStream,
    opening: impl Future<Output = anyhow::Result<Kept>>,
    known: Option<(Fork, Head)>,
) -> anyhow::Result<()> {
    let Kept { mut stream, greeting, .. } = match opening.await {
        Ok(opened) => opened,
        Err(err) => {
            client.write_all(&refusal(&format!("{err:#}"))).await.context("refuse PostgreSQL")?;
            return Err(err);
        }
    };
    client.write_all(&greeting).await.context("greet PostgreSQL")?;
    if let Some((fork, head)) = known {
        splice::begin(&mut client, &mut stream, &fork, &head)
            .await
            .context("begin to pass WAL on")?;
    }
    let passed = copy_bidirectional_with_sizes(&mut client, &mut stream, BUFFER, BUFFER).await;
    passed.context("pass WAL on").map(|_| ())
}

async fn ended(passing: Option<&mut Passing>) {
    match passing {
        Some(passing) => passing.await,
        None => pending().await,
    }
}

async fn gone(kept: Option<&Kept>) {
    match kept {
        Some(kept) => kept.ended().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
