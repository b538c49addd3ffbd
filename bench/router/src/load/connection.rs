//! One connection of a client: asks, and reads the answer to its end.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Longer than anybody holds a request.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer and its head fit.
const BUFFER: usize = 32 * 1024;

pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    patience: Duration,
    buffer: Vec<u8>,
}

/// An answer's head, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Of head and body together.
    length: usize,
    /// The connection is not to be used again.
    closes: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        Self::open_patiently(address, PATIENCE)
    }

    /// Opens one that waits so long for an answer.
    pub(crate) fn open_patiently(address: SocketAddr, patience: Duration) -> anyhow::Result<Self> {
        let stream = connect(address, patience)?;
        Ok(Self { address, stream, patience, buffer: vec![0; BUFFER] })
    }

    /// Asks, and returns when the whole answer is there. Connects again where the answer says that
    /// the connection ends with it.
    pub(crate) fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let (status, read) = self.status(request)?;
        if status != 200 {
            let said = String::from_utf8_lossy(&self.buffer[..read]);
            bail!("be served by {}: it said {said}", self.address);
        }
        Ok(())
    }

    /// The same, whatever the answer; returns its status and its length.
    pub(crate) fn status(&mut self, request: &[u8]) -> anyhow::Result<(u16, usize)> {
        self.stream.write_all(request).context("send a request")?;
        let mut read = 0;
        let head = loop {
            read += self.read(read)?;
            if let Some(head) = head(&self.buffer[..read])? {
                break head;
            }
        };
        while read < head.length {
            read += self.read(read)?;
        }
        if head.closes {
            self.stream = connect(self.address, self.patience)?;
        }
        Ok((head.status, read))
    }

    /// Returns what keeps the connection open, without its buffer.
    pub(crate) fn idle(self) -> TcpStream {
        self.stream
    }

    fn read(&mut self, from: usize) -> anyhow::Result<usize> {
        match self.stream.read(&mut self.buffer[from..]).context("read an answer")? {
            0 => bail!("read an answer of {}: it closed the connection", self.address),
            count => Ok(count),
        }
    }
}

fn connect(address: SocketAddr, patience: Duration) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true).context("send at once")?;
    stream.set_read_timeout(Some(patience)).context("bound the wait for an answer")?;
    Ok(stream)
}

/// Reads a head; none while it is not whole.
fn head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).context("read an answer's head")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("find a status")?;
    let (mut body, mut closes) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = value.trim().parse::<usize>().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.trim().eq_ignore_ascii_case("close");
        }
    }
    let body = body.context("read an answer without content-length")?;
    let length = end + 4 + body;
    Ok(Some(Head { status: status.parse().context("read a status")?, length, closes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
        let whole = Head { status: 200, length: text.len(), closes: true };
        assert_eq!(head(text).unwrap(), Some(whole));
        assert_eq!(head(&text[..40]).unwrap(), None);
    }

    #[test]
    fn an_answer_of_unknown_length_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
