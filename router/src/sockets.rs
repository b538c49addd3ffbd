//! The sockets a router listens on, which it shares and hands over.
//!
//! All routers of a machine accept from the same sockets: each new one asks those that run already,
//! and binds only what nobody has. So there is one queue of connections, which is closed with the
//! last of them: one that stops, dies or hangs leaves the queue to the others. (With `SO_REUSEPORT`
//! each has a queue of its own, and a connection that waits in it dies with its router.)
//!
//! A router's successor gets its admin socket too, and says when it serves; only then the
//! predecessor stops.

mod passing;

use std::fs::Permissions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::{UnixListener, UnixStream as Asking};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

pub(crate) use passing::Listening;

use crate::table::Table;

/// Asks for the users' sockets, to accept from them too.
const SHARE: u8 = b's';
/// Asks for all sockets, to take over.
const SUCCEED: u8 = b't';
/// The successor serves.
const SERVING: u8 = b'r';
/// Whoever asks says what it wants at once; who answers is a running router.
const SAY: Duration = Duration::from_secs(1);
/// Routers that start together bind in turn; a socket of one that just died is free by then.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(50);
/// A successor has its predecessor's snapshots on disk, and etcd: it has a table at once, or not.
const TABLE_MAX: Duration = Duration::from_secs(20);
/// Connections that wait to be accepted; the kernel's own limit is usually lower.
const WAITING: i32 = 65_535;
/// Only who runs the routers may have their sockets.
const MODE: u32 = 0o600;

/// Where routers of a machine find each other.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) own: PathBuf,
    pub(crate) siblings: Vec<PathBuf>,
}

/// A running router that is about to be replaced by this one.
pub(crate) struct Predecessor(UnixStream);

impl Predecessor {
    /// Says that this router serves, and the predecessor may stop.
    pub(crate) fn dismiss(mut self) -> anyhow::Result<()> {
        self.0.write_all(&[SERVING]).context("tell the predecessor to stop")?;
        // It closes the connection as the first thing it does.
        match self.0.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => bail!("tell the predecessor to stop: it says something else"),
            Err(err) => Err(err).context("hear that the predecessor stops"),
        }
    }
}

/// Takes all sockets of the running router with this id.
pub(crate) fn succeed(meeting: &Meeting) -> anyhow::Result<(Listening, Predecessor)> {
    let own = meeting.own.display();
    let (sockets, stream) = ask(&meeting.own, SUCCEED)
        .with_context(|| format!("ask the router at {own} for its sockets; does it run"))?;
    Ok((sockets, Predecessor(stream)))
}

/// Returns a socket for each of these addresses: a sibling's where one runs, a new one otherwise.
pub(crate) fn share(addresses: &[SocketAddr], meeting: &Meeting) -> anyhow::Result<Listening> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut known = Listening::new();
        for sibling in &meeting.siblings {
            match ask(sibling, SHARE) {
                Ok((sockets, _)) => known.extend(sockets),
                Err(err) => debug!(error = format!("{err:#}"), "sibling does not share"),
            }
        }
        known.retain(|address, _| addresses.contains(address));
        match bind_missing(&mut known, addresses) {
            Ok(()) => return Ok(known),
            Err((_, err)) if err.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                std::thread::sleep(AGAIN);
            }
            Err((address, err)) => {
                return Err(err)
                    .with_context(|| format!("listen on {address}; is another process using it"));
            }
        }
    }
}

fn bind_missing(
    known: &mut Listening,
    addresses: &[SocketAddr],
) -> Result<(), (SocketAddr, std::io::Error)> {
    for address in addresses {
        if !known.contains_key(address) {
            known.insert(*address, bind(*address).map_err(|err| (*address, err))?);
        }
    }
    Ok(())
}

/// Binds an address that nobody else has.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    rustix::net::listen(&socket, WAITING)?;
    Ok(socket)
}

fn ask(path: &Path, what: u8) -> anyhow::Result<(Listening, UnixStream)> {
    let mut stream = UnixStream::connect(path).context("connect")?;
    stream.set_read_timeout(Some(SAY)).context("bound the wait")?;
    stream.write_all(&[what]).context("ask")?;
    let sockets = passing::receive(&stream)?;
    if sockets.is_empty() {
        bail!("receive sockets: the router gives none");
    }
    Ok((sockets, stream))
}

/// What this router gives to others, and from whom it has it.
pub(crate) struct Sharing {
    pub(crate) meeting: Meeting,
    /// Accepted from by all routers of the machine.
    pub(crate) users: Listening,
    /// What a successor gets besides.
    pub(crate) own: Listening,
    pub(crate) predecessor: Option<Predecessor>,
}

impl Sharing {
    /// Dismisses the predecessor as soon as this router can serve; then gives its own sockets to
    /// whoever asks, until one of those says that it serves instead, or this router is to stop.
    pub(crate) async fn run(
        self,
        table: Arc<Table>,
        mut draining: ShutdownWatch,
        replaced: CancellationToken,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { meeting, users, own, predecessor } = self;
        if let Some(predecessor) = predecessor {
            timeout(TABLE_MAX, table.filled())
                .await
                .context("get a routing table; the running router goes on")?;
            tokio::task::spawn_blocking(|| predecessor.dismiss()).await??;
        }
        let giving = Giving::start(&meeting, users, own)?;
        tokio::select! {
            outcome = giving.until_replaced() => {
                outcome?;
                replaced.cancel();
            }
            // A handle that nobody accepts from would keep connections waiting.
            _ = draining.wait_for(|draining| *draining) => {}
            () = stop.cancelled() => {}
        }
        drop(giving);
        stop.cancelled().await;
        Ok(())
    }
}

/// Gives this router's sockets to those that ask for them.
struct Giving {
    listener: UnixListener,
    users: Listening,
    /// The users' sockets, and the router's own.
    all: Listening,
}

impl Giving {
    /// Begins to listen, in the place of a predecessor if there was one.
    fn start(meeting: &Meeting, users: Listening, own: Listening) -> anyhow::Result<Self> {
        let path = meeting.own.display();
        match std::fs::remove_file(&meeting.own) {
            Err(err) if err.kind() != ErrorKind::NotFound => {
                return Err(err).with_context(|| format!("remove {path}"));
            }
            Ok(()) | Err(_) => {}
        }
        let listener =
            UnixListener::bind(&meeting.own).with_context(|| format!("listen on {path}"))?;
        std::fs::set_permissions(&meeting.own, Permissions::from_mode(MODE))
            .with_context(|| format!("protect {path}"))?;
        let mut all = own;
        for (address, socket) in &users {
            let socket = socket.try_clone().context("keep a second handle on a socket")?;
            all.insert(*address, socket);
        }
        Ok(Self { listener, users, all })
    }

    /// Serves until a successor says that it serves. A successor that dies before changes nothing.
    async fn until_replaced(&self) -> anyhow::Result<()> {
        let mut successor: Option<Asking> = None;
        loop {
            tokio::select! {
                asked = self.listener.accept() => {
                    let (stream, _) = asked.context("accept on the routers' meeting place")?;
                    match self.give(stream).await {
                        Ok(None) => {}
                        Ok(Some(stream)) => successor = Some(stream),
                        Err(err) => debug!(error = format!("{err:#}"), "sockets not given"),
                    }
                }
                said = hear(&mut successor) => {
                    successor = None;
                    if said {
                        info!("a successor serves");
                        return Ok(());
                    }
                    info!("a successor has gone before it served");
                }
            }
        }
    }

    /// Gives what is asked for, and returns the connection of a successor.
    async fn give(&self, mut stream: Asking) -> anyhow::Result<Option<Asking>> {
        let mut what = [0];
        timeout(SAY, stream.read_exact(&mut what)).await.context("wait for the question")??;
        let sockets = match what[0] {
            SHARE => &self.users,
            SUCCEED => &self.all,
            other => bail!("understand the question {other}"),
        };
        stream
            .async_io(Interest::WRITABLE, || passing::send(&stream, sockets))
            .await
            .context("send sockets")?;
        Ok((what[0] == SUCCEED).then_some(stream))
    }
}

/// Returns whether the successor says that it serves; waits for ever where there is none.
async fn hear(successor: &mut Option<Asking>) -> bool {
    let Some(stream) = successor else { return std::future::pending().await };
    let mut said = [0];
    stream.read_exact(&mut said).await.is_ok() && said[0] == SERVING
}

#[cfg(test)]
mod tests;
