//! Holds an answer's first bytes back until more come, so that a head and what follows it leave
//! together: a system call and a packet less for each answer.
//!
//! Nothing stays behind: who writes an answer flushes where it ends, and it is sent as soon as the
//! connection has nothing else to do than to listen.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Bytes held back at most: a head with a short body. What is longer goes beside them uncopied.
const HELD_MAX: usize = 4096;

/// What was written to a stream and has not left yet. Takes no memory between answers.
#[derive(Debug, Default)]
pub(crate) struct Gather(Vec<u8>);

impl Gather {
    /// Writes to `stream`, now or with what follows.
    pub(crate) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() <= HELD_MAX {
            if self.0.is_empty() {
                // A short body's place is made with the head's.
                self.0.reserve(HELD_MAX / 4 + bytes.len());
            }
            self.0.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        while !self.0.is_empty() {
            let both = [IoSlice::new(&self.0), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &both))?;
            let beyond = written.saturating_sub(self.0.len());
            self.left(written)?;
            if beyond > 0 {
                return Poll::Ready(Ok(beyond));
            }
        }
        Pin::new(stream).poll_write(cx, bytes)
    }

    /// Sends what is held back as far as the stream takes it now.
    pub(crate) fn send(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        match self.poll_flush(stream, cx) {
            Poll::Ready(sent) => sent,
            // It is tried again when the stream takes more, or when the answer goes on.
            Poll::Pending => Ok(()),
        }
    }

    /// Sends everything.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &self.0))?;
            self.left(written)?;
        }
        Pin::new(stream).poll_flush(cx)
    }

    /// Forgets what has left.
    fn left(&mut self, written: usize) -> io::Result<()> {
        match written {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            all if all >= self.0.len() => self.0 = Vec::new(),
            some => drop(self.0.drain(..some)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_head_and_a_short_body_leave_together() {
        let mut stream = Packets::default();
        let mut gather = Gather::default();
        write(&mut gather, &mut stream, b"head ").await;
        write(&mut gather, &mut stream, b"body").await;
        flush(&mut gather, &mut stream).await;
        assert_eq!(stream.0, [b"head body".to_vec()]);
        assert_eq!(gather.0.capacity(), 0);
        let long = vec![b'a'; 2 * HELD_MAX];
        write(&mut gather, &mut stream, b"head ").await;
        write(&mut gather, &mut stream, &long).await;
        assert_eq!(stream.0[1], [b"head ".as_slice(), &long].concat());
    }

    #[tokio::test]
    async fn nothing_is_lost_on_a_stream_that_takes_little_at_a_time() {
        let (mut near, mut far) = tokio::io::duplex(7);
        let body: Vec<u8> = (0..20_000_u16).map(|n| n.to_le_bytes()[0]).collect();
        let sent = [b"the head".as_slice(), &body, &body[..9]].concat();
        let writing = async {
            let mut gather = Gather::default();
            for part in [b"the head".as_slice(), &body, &body[..9]] {
                write(&mut gather, &mut near, part).await;
            }
            flush(&mut gather, &mut near).await;
            near.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(writing, far.read_to_end(&mut received));
        assert_eq!(read.unwrap(), sent.len());
        assert_eq!(received, sent);
    }

    /// What each system call would have sent.
    #[derive(Default)]
    struct Packets(Vec<Vec<u8>>);

    impl AsyncWrite for Packets {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.poll_write(cx, &bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn write(gather: &mut Gather, stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| gather.poll_write(stream, cx, bytes)).await.unwrap();
            bytes = &bytes[written..];
        }
    }

    async fn flush(gather: &mut Gather, stream: &mut (impl AsyncWrite + Unpin)) {
        poll_fn(|cx| gather.poll_flush(stream, cx)).await.unwrap();
    }
}
