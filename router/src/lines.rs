//! The open connections to a site under one epoch, so that all can be ended when the epoch is.
//!
//! A site that died silently leaves connections that say nothing, for as long as TCP is patient. The
//! snapshot knows better: when a later epoch is served, whoever still waits on these is told at once,
//! and may ask again where the cell is now.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream as Handle};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::upstreams::peer::{Tracer, Tracing};
use pingora_core::{Error, ErrorType, OkOrErr as _, OrErr as _};
use tokio::net::TcpStream;

/// A site answers a SYN within a round trip between regions, or is not there.
const CONNECT_MAX: Duration = Duration::from_millis(250);

/// Connects to a site, and remembers each connection until it is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    ended: bool,
    next: u64,
    handles: BTreeMap<u64, Handle>,
}

impl Lines {
    /// Ends all connections, those in use too: their readers see them closed.
    pub(crate) fn end(&self) {
        let handles = self.open(|open| {
            open.ended = true;
            std::mem::take(&mut open.handles)
        });
        for handle in handles.into_values() {
            // A connection that the other side has closed already cannot be shut down, and need not.
            if let Err(err) = handle.shutdown(Shutdown::Both) {
                tracing::trace!(error = %err, "connection had ended already");
            }
        }
    }

    /// Remembers a connection; refused once the epoch has ended.
    fn remember(&self, handle: Handle) -> Option<Line> {
        self.open(|open| {
            let number = open.next;
            open.next += 1;
            (!open.ended).then(|| open.handles.insert(number, handle))?;
            Some(Line { lines: self.clone(), number })
        })
    }

    /// The lock is held for a few lines without waiting; a panic in them leaves plain values.
    fn open<T>(&self, look: impl FnOnce(&mut Open) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Connect for Lines {
    async fn connect(&self, address: &PeerAddr) -> pingora_core::Result<Stream> {
        let address: SocketAddr =
            *address.as_inet().or_err(ErrorType::InternalError, "find a site at an IP address")?;
        let connecting = TcpStream::connect(address);
        let stream = tokio::time::timeout(CONNECT_MAX, connecting)
            .await
            .or_err_with(ErrorType::ConnectTimedout, || format!("connect to {address}"))?
            .or_err_with(ErrorType::ConnectRefused, || format!("connect to {address}"))?;
        let handle = stream
            .as_fd()
            .try_clone_to_owned()
            .or_err(ErrorType::InternalError, "keep a handle on a connection")?;
        let Some(line) = self.remember(Handle::from(handle)) else {
            return Error::e_explain(ErrorType::ConnectError, "the epoch has ended");
        };
        let mut stream = Stream::from(stream);
        stream.tracer = Some(Tracer(Box::new(line)));
        Ok(stream)
    }
}

/// Travels with a connection, and forgets it when it is closed: the handle would keep it open.
#[derive(Clone, Debug)]
struct Line {
    lines: Lines,
    number: u64,
}

impl Tracing for Line {
    fn on_connected(&self) {}

    fn on_disconnected(&self) {
        self.lines.open(|open| open.handles.remove(&self.number));
    }

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn ending_an_epoch_ends_a_connection_that_is_being_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lines = Lines::default();
        let mut stream = connect(&lines, listener.local_addr().unwrap()).await.unwrap();
        let (_site, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        let (read, ()) = tokio::join!(stream.read(&mut byte), async { lines.end() });
        assert_eq!(read.unwrap(), 0);
        assert!(connect(&lines, listener.local_addr().unwrap()).await.is_err());
    }

    #[tokio::test]
    async fn a_dropped_connection_is_closed_and_forgotten() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let lines = Lines::default();
        let stream = connect(&lines, listener.local_addr().unwrap()).await.unwrap();
        let (mut site, _) = listener.accept().unwrap();
        drop(stream);
        assert_eq!(site.read(&mut [0]).unwrap(), 0);
        assert!(lines.open(|open| open.handles.is_empty()));
    }

    async fn connect(lines: &Lines, address: SocketAddr) -> pingora_core::Result<Stream> {
        lines.connect(&PeerAddr::Inet(address)).await
    }
}
