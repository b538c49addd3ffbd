//! Listening sockets on their way from one process to another, over a Unix socket.
//!
//! One message: the addresses, one a line, and with it the sockets in the same order.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A router listens for users, for users with TLS, and for its operator.
const SOCKETS_MAX: usize = 4;
/// An address takes at most 47 bytes.
const TEXT_MAX: usize = SOCKETS_MAX * 64;

/// Listening sockets by the address they were bound to.
pub(crate) type Listening = BTreeMap<SocketAddr, TcpListener>;

/// Sends sockets; both processes have them then.
pub(super) fn send(to: impl AsFd, sockets: &Listening) -> std::io::Result<()> {
    let addresses: Vec<String> = sockets.keys().map(ToString::to_string).collect();
    let text = addresses.join("\n");
    let handles: Vec<BorrowedFd<'_>> = sockets.values().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    if !with.push(SendAncillaryMessage::ScmRights(&handles)) {
        return Err(std::io::Error::other("more sockets than one message carries"));
    }
    sendmsg(to, &[IoSlice::new(text.as_bytes())], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives what [`send`] has sent.
pub(super) fn receive(from: impl AsFd) -> anyhow::Result<Listening> {
    let mut text = [0; TEXT_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(from, &mut [IoSliceMut::new(&mut text)], &mut with, RecvFlags::CMSG_CLOEXEC)
            .context("receive sockets")?;
    let handles: Vec<OwnedFd> = with
        .drain()
        .flat_map(|message| {
            let RecvAncillaryMessage::ScmRights(handles) = message else { return Vec::new() };
            handles.collect()
        })
        .collect();
    let text = std::str::from_utf8(&text[..received.bytes]).context("read addresses")?;
    let addresses: Vec<SocketAddr> = text
        .lines()
        .map(|line| line.parse().with_context(|| format!("read the address {line:?}")))
        .collect::<Result<_, _>>()?;
    ensure!(
        addresses.len() == handles.len(),
        "match {} addresses to {} sockets",
        addresses.len(),
        handles.len()
    );
    Ok(addresses.into_iter().zip(handles.into_iter().map(TcpListener::from)).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_passed_socket_has_the_connections_that_were_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (from, to) = UnixStream::pair().unwrap();
        send(&from, &Listening::from([(address, listener)])).unwrap();
        let mut received = receive(&to).unwrap();
        let listener = received.remove(&address).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[test]
    fn an_end_instead_of_sockets_is_none() {
        let (from, to) = UnixStream::pair().unwrap();
        drop(from);
        assert!(receive(&to).unwrap().is_empty());
    }
}
