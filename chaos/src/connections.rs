//! The TCP connections that a process has, as the kernel lists them.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;

use crate::process::Process;

/// Its own end of a connection, and the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Connection {
    pub(crate) own: SocketAddr,
    pub(crate) other: SocketAddr,
}

/// Returns a process's connections by IPv4, those that are being opened too.
pub(crate) fn of(process: Process) -> anyhow::Result<Vec<Connection>> {
    let folder = format!("/proc/{}/fd", process.pid);
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        let entry = entry.with_context(|| format!("list {folder}"))?;
        // One that was closed meanwhile leads nowhere.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(inode.map(str::to_owned));
    }
    // As seen from the process's own network.
    let path = format!("/proc/{}/net/tcp", process.pid);
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let lines = text.lines().skip(1).filter_map(connection);
    Ok(lines.filter(|(inode, _)| inodes.contains(*inode)).map(|(_, found)| found).collect())
}

/// Reads a line: number, own address, other address, state, and the inode as the tenth field.
fn connection(line: &str) -> Option<(&str, Connection)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let own = address(fields.get(1)?)?;
    Some((fields.get(9)?, Connection { own, other: address(fields.get(2)?)? }))
}

/// The address is in the order of the network, printed as a number of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddr::from((Ipv4Addr::from(ip.to_ne_bytes()), port)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_found_with_both_its_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let expected =
            Connection { own: stream.local_addr().unwrap(), other: listener.local_addr().unwrap() };
        assert!(of(Process::own().unwrap()).unwrap().contains(&expected));
    }
}
