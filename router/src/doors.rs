//! Where users' connections come in: accepted, counted, and given to Pingora.
//!
//! Not Pingora's own listening service: that one forgets a connection between its accept and its
//! first request, closes idle connections the moment a shutdown begins, and keeps one that never
//! finishes its TLS handshake for a minute.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener as Socket};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::{GetSocketDigest as _, SocketDigest, Stream as Connection};
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use pingora_proxy::HttpProxy;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connections::Connections;
use crate::drain::Drain;
use crate::proxy::Proxy;
use crate::stop::End;
use crate::table::Table;

/// Two round trips, and a busy phone between them.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// After a failed accept, which comes from a lack of files or memory: somebody has to end first.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts as Pingora's background service: started once.
pub(crate) struct Doors {
    pub(crate) opening: Mutex<Option<Opening>>,
    pub(crate) app: Arc<HttpProxy<Proxy>>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) table: Arc<Table>,
    pub(crate) drain: Arc<Drain>,
    pub(crate) end: Arc<End>,
}

/// What is used up when the doors open.
pub(crate) struct Opening {
    pub(crate) plain: Socket,
    pub(crate) tls: Option<(Socket, Arc<Acceptor>)>,
    /// Another router serves until this one can: nobody has to wait here for a first snapshot.
    pub(crate) is_successor: bool,
}

#[async_trait]
impl BackgroundService for Doors {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(opening) = opening else { return };
        if let Err(err) = self.open(opening).await {
            self.end.failed(err);
        }
    }
}

impl Doors {
    async fn open(&self, opening: Opening) -> anyhow::Result<()> {
        let plain = listener(opening.plain)?;
        let tls = match opening.tls {
            Some((socket, acceptor)) => Some((listener(socket)?, acceptor)),
            None => None,
        };
        if opening.is_successor {
            self.table.filled().await;
        }
        tokio::join!(self.accept(&plain, None), async {
            if let Some((listener, acceptor)) = &tls {
                self.accept(listener, Some(acceptor)).await;
            }
        });
        Ok(())
    }

    /// Accepts until connections are to end, and then those that had knocked before.
    async fn accept(&self, listener: &TcpListener, tls: Option<&Arc<Acceptor>>) {
        let mut begun = self.drain.watch();
        loop {
            let accepted = tokio::select! {
                _ = begun.wait_for(|begun| *begun) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer, tls),
                Err(err) => {
                    warn!(error = %err, "connection not accepted");
                    sleep(PAUSE).await;
                }
            }
        }
        while let Some((stream, peer)) = waiting(listener).await {
            self.serve(stream, peer, tls);
        }
    }

    /// Serves a connection until it ends; the drain waits for it.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, tls: Option<&Arc<Acceptor>>) {
        let Some(seat) = self.connections.seat() else {
            debug!(%peer, "connection refused: there are as many as there may be");
            return;
        };
        let counted = self.drain.enter();
        let connections = Arc::clone(&self.connections);
        let (app, drain, tls) = (Arc::clone(&self.app), self.drain.watch(), tls.cloned());
        pingora_runtime::current_handle().spawn(async move {
            match connection(stream, peer, tls.as_deref()).await {
                Ok(connection) => {
                    let paced = connections.paced(connection, seat);
                    app.process_new(paced, &drain).await;
                }
                Err(err) => debug!(%peer, error = format!("{err:#}"), "connection not opened"),
            }
            drop(counted);
        });
    }
}

fn listener(socket: Socket) -> anyhow::Result<TcpListener> {
    socket.set_nonblocking(true).context("listen for users")?;
    TcpListener::from_std(socket).context("listen for users")
}

/// Returns a connection that has been waiting, if there is one.
async fn waiting(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    poll_fn(|context| match listener.poll_accept(context) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<&Acceptor>,
) -> anyhow::Result<Connection> {
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    let mut stream = Stream::from(stream);
    if digest.peer_addr.set(Some(peer.into())).is_ok() {
        stream.set_socket_digest(digest);
    }
    stream.set_nodelay().context("send answers at once")?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let stream = timeout(HANDSHAKE_MAX, tls.tls_handshake(stream))
        .await
        .context("wait for the handshake")?
        .context("shake hands")?;
    Ok(Box::new(stream))
}
