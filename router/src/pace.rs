//! A client's connection that is closed when the client takes too long over a request, or too long
//! between two.
//!
//! Pingora bounds each read; whoever sends a byte before each bound's end stays for ever. Here time
//! is bounded for a whole head and a whole body, by a grace and a least rate. Below HTTP nobody
//! knows where a request ends, so the proxy's hooks say so:
//!
//! ```text
//!   Idle ── first byte ──▶ Receiving ── head is whole ──▶ Quiet ── answered ──▶ Idle
//!                              ▲                            │
//!                              └── its body is now wanted ──┘
//! ```
//!
//! Where TLS has agreed on HTTP/2, only its first words are waited for here, no longer than for a
//! head: until they have come, nothing else bounds the wait. Then the connection is quiet for good,
//! as the protocol has its own bounds.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::http::v1::server::HttpSession;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::{SslDigest, TlsRef};
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use pingora_proxy::Session;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use topology::spec::edge::Limits;

use crate::connections::Seat;
use crate::decide::arrival::{Arrival, Corrected};
use crate::gather::Gather;

/// How HTTP/2 begins (RFC 9113, section 3.4). Whether it does is for the protocol to say.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, and what its client is about to do.
#[derive(Debug)]
pub(crate) struct Paced {
    stream: Stream,
    gather: Gather,
    idle: Duration,
    grace: Duration,
    rate: usize,
    phase: Mutex<Phase>,
    arrival: Mutex<Arrival>,
    alarm: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// So many bytes are missing before HTTP/2 begins.
    Greeting {
        since: Instant,
        missing: usize,
    },
    Idle {
        since: Instant,
    },
    Receiving {
        since: Instant,
        bytes: usize,
    },
    Quiet,
}

impl Paced {
    pub(crate) fn new(stream: Stream, limits: &Limits, seat: Seat) -> Self {
        let phase = Phase::first(stream.selected_alpn_proto().as_ref());
        let is_http1 = matches!(phase, Phase::Idle { .. });
        let arrival = if is_http1 { Arrival::first() } else { Arrival::Other };
        let (phase, arrival) = (Mutex::new(phase), Mutex::new(arrival));
        let (grace, rate) = (limits.slow.grace, limits.slow.rate);
        Self {
            stream,
            gather: Gather::default(),
            idle: limits.idle,
            grace,
            rate,
            phase,
            arrival,
            alarm: None,
            _seat: seat,
        }
    }

    fn phase<T>(&self, look: impl FnOnce(&mut Phase) -> T) -> T {
        look(&mut self.phase.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn arrival<T>(&self, look: impl FnOnce(&mut Arrival) -> T) -> T {
        look(&mut self.arrival.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows what has been read, and returns whether it is still certain where its body ends.
    fn received(&mut self, bytes: &[u8]) -> bool {
        let phase = self.phase.get_mut().unwrap_or_else(PoisonError::into_inner);
        match phase {
            Phase::Greeting { missing, .. } if *missing > bytes.len() => *missing -= bytes.len(),
            Phase::Greeting { .. } => *phase = Phase::Quiet,
            Phase::Idle { .. } => {
                *phase = Phase::Receiving { since: Instant::now(), bytes: bytes.len() };
            }
            Phase::Receiving { bytes: before, .. } => *before += bytes.len(),
            Phase::Quiet => {}
        }
        let arrival = self.arrival.get_mut().unwrap_or_else(PoisonError::into_inner);
        arrival.saw(bytes);
        !arrival.is_ambiguous()
    }

    /// Returns when the client will have taken too long; none while it may be silent.
    fn deadline(&self) -> Option<Instant> {
        match self.phase(|phase| *phase) {
            Phase::Greeting { since, .. } => Some(since + self.grace),
            Phase::Idle { since } => Some(since + self.idle),
            Phase::Receiving { since, bytes } => {
                let earned = u64::try_from(bytes / self.rate).unwrap_or(u64::MAX);
                Some(since + self.grace + Duration::from_secs(earned))
            }
            Phase::Quiet => None,
        }
    }

    /// Waits for the deadline beside the client's bytes. The timer is moved only when it goes off:
    /// a busy connection does not touch it.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(deadline) = self.deadline() else { return Poll::Pending };
            if deadline <= Instant::now() {
                return Poll::Ready(match self.phase(|phase| *phase) {
                    // As if the client had closed it: nothing has begun.
                    Phase::Idle { .. } | Phase::Quiet => Ok(()),
                    Phase::Greeting { .. } | Phase::Receiving { .. } => {
                        Err(io::ErrorKind::TimedOut.into())
                    }
                });
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if alarm.is_elapsed() || alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Phase {
    /// Returns how a connection begins whose ends have agreed on this protocol.
    fn first(agreed: Option<&ALPN>) -> Self {
        let since = Instant::now();
        match agreed {
            Some(ALPN::H2) => Self::Greeting { since, missing: PREFACE.len() },
            Some(ALPN::H1 | ALPN::H2H1 | ALPN::Custom(_)) | None => Self::Idle { since },
        }
    }
}

/// Says that a request's head is whole.
pub(crate) fn head_is_whole(session: &Session) {
    change(session, |_| Phase::Quiet);
}

/// Says that a request's head is one of so many bytes, and whether its body comes in chunks; an error
/// where that is not what was sent.
pub(crate) fn as_sent(session: &Session, bytes: usize, is_chunked: bool) -> Result<(), Corrected> {
    let paced = paced(session);
    paced.map_or(Ok(()), |paced| paced.arrival(|arrival| arrival.parsed(bytes, is_chunked)))
}

/// Says that a request's body is wanted from now on, or whole.
pub(crate) fn body(session: &Session, is_whole: bool) {
    change(session, |phase| match phase {
        Phase::Receiving { .. } | Phase::Quiet if is_whole => Phase::Quiet,
        Phase::Quiet => Phase::Receiving { since: Instant::now(), bytes: 0 },
        Phase::Greeting { .. } | Phase::Idle { .. } | Phase::Receiving { .. } => phase,
    });
}

/// Says that a request has been answered, and the next one may come.
pub(crate) fn answered(session: &Session) {
    change(session, |_| Phase::Idle { since: Instant::now() });
    if let Some(paced) = paced(session) {
        paced.arrival(|arrival| *arrival = Arrival::first());
    }
}

fn change(session: &Session, next: impl FnOnce(Phase) -> Phase) {
    if let Some(paced) = paced(session) {
        paced.phase(|phase| *phase = next(*phase));
    }
}

/// Returns the connection that a request of HTTP/1 came by.
fn paced(session: &Session) -> Option<&Paced> {
    let stream = session.as_http1().map(HttpSession::stream)?;
    (**stream).as_any().downcast_ref()
}

/// Returns whether an error means that a client has sent too slowly.
pub(crate) fn is_late(error: &pingora_core::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// Returns what the parser would have made something else of in a request's body, if anything.
pub(crate) fn corrected(session: &Session) -> Option<Corrected> {
    let is_ambiguous = paced(session)?.arrival(|arrival| arrival.is_ambiguous());
    is_ambiguous.then_some(Corrected::ChunkSize)
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                let bytes = &buffer.filled()[before..];
                let is_certain = self.received(bytes);
                Poll::Ready(if is_certain {
                    Ok(())
                } else {
                    Err(io::ErrorKind::InvalidData.into())
                })
            }
            Poll::Ready(Err(err)) => Poll::Ready(Err(err)),
            Poll::Pending => {
                let Self { gather, stream, .. } = &mut *self;
                gather.send(stream, cx)?;
                self.poll_late(cx)
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { gather, stream, .. } = self.get_mut();
        gather.poll_write(stream, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { gather, stream, .. } = self.get_mut();
        gather.poll_flush(stream, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// HTTP/2 gathers by itself: nothing is held back then.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { gather, stream, .. } = self.get_mut();
        ready!(gather.poll_flush(stream, cx))?;
        Pin::new(stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Paced {
    async fn shutdown(&mut self) {
        if let Err(err) = poll_fn(|cx| self.gather.poll_flush(&mut self.stream, cx)).await {
            tracing::debug!(error = %err, "an answer's last bytes not delivered");
        }
        self.stream.shutdown().await;
    }
}

impl UniqueID for Paced {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Paced {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

#[async_trait]
impl Peek for Paced {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.stream.try_peek(buffer).await
    }
}

impl GetTimingDigest for Paced {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream.get_write_pending_time()
    }
}

impl GetProxyDigest for Paced {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Paced {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

#[cfg(test)]
mod tests;
