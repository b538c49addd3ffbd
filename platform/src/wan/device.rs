//! One TUN device: what the kernel sends into it is read here, what is written comes out of it.

use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::runtime::Handle;
use tokio_tun::Tun;
use topology::spec::Network;

use super::ip::ip;
use super::namespaces::inside;

/// In a namespace.
const NAME: &str = "wan";
/// On the machine, where there may be others; the kernel numbers them.
const NAME_OF_MACHINE: &str = "bulkhead%d";
/// As on the Internet.
const MTU: i32 = 1500;
/// Packets the kernel keeps while the switch is busy: some 15 MB.
const QUEUE: u32 = 10_000;

pub(super) struct Device(Tun);

impl Device {
    /// Makes a device in a namespace, or on the machine itself, and sends everything for the other
    /// networks into it. It is gone, with its routes, when this is.
    pub(super) fn make(
        namespace: Option<&Path>,
        own: Network,
        others: &[Network],
    ) -> anyhow::Result<Self> {
        let name = if namespace.is_some() { NAME } else { NAME_OF_MACHINE };
        let is_in_namespace = namespace.is_some();
        let (others, runtime) = (others.to_vec(), Handle::current());
        inside(namespace, move || {
            let _inside = runtime.enter();
            let made = Tun::builder().name(name).mtu(MTU).build().context("make a TUN device")?;
            let tun = made.into_iter().next().context("make a TUN device: there is none")?;
            configure(tun.name(), own, &others)?;
            // What holds for all connections of the machine is not ours to change.
            if is_in_namespace {
                set("ipv4/tcp_rmem", RECEIVE);
            }
            Ok(Self(tun))
        })
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = Pin::new(&mut self.0).poll_read(context, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }

    /// Returns the length of what was read, if there was more to read.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.try_recv(buffer) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(None),
            read => read.map(Some),
        }
    }

    pub(super) fn write(&self, packet: &[u8]) -> io::Result<()> {
        self.0.try_send(packet).map(|_| ())
    }
}

/// A standby that changes its source is sent the segment of WAL from its beginning, up to 1 MB, while
/// users wait: with Linux's first window of 14 KB that takes five round trips more.
const WINDOW: &str = "initcwnd 720 initrwnd 720";
/// The same for who receives it: the least, the first and the largest buffer in bytes.
const RECEIVE: &str = "4096 2097152 6291456";
/// Linux's default, whatever the machine has. `bbr` lets no more than four packets at once through for 0.2 s of
/// every ten seconds, to see how long the way is: commits wait for 0.3 s longer then.
const CONGESTION_CONTROL: &str = "cubic";
const AVAILABLE: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

/// The networks of the loopback range are routed like any other once a device allows it. Their
/// routes are in the table `local`, where the kernel finds them before it takes them for its own.
fn configure(name: &str, own: Network, others: &[Network]) -> anyhow::Result<()> {
    set(&format!("ipv6/conf/{name}/disable_ipv6"), "1");
    let [a, b] = own.prefix();
    let congestion = congestion_control()?;
    let mut lines = vec![format!("link set dev {name} txqueuelen {QUEUE} up")];
    lines.extend(others.iter().map(|network| {
        format!("route add {network} dev {name} src {a}.{b}.0.1 table local {WINDOW} {congestion}")
    }));
    for (key, value) in [("route_localnet", "1"), ("rp_filter", "0")] {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/{key}");
        fs::write(&path, value).with_context(|| format!("write {path}"))?;
    }
    ip(&lines)
}

/// Said of a route, since only the machine itself may choose another for a whole namespace. A kernel without
/// `cubic` goes on with what it has.
fn congestion_control() -> anyhow::Result<String> {
    let available = fs::read_to_string(AVAILABLE).with_context(|| format!("read {AVAILABLE}"))?;
    if available.split_whitespace().any(|name| name == CONGESTION_CONTROL) {
        return Ok(format!("congctl {CONGESTION_CONTROL}"));
    }
    tracing::warn!(available, "there is no {CONGESTION_CONTROL}: measure nothing here");
    Ok(String::new())
}

/// A kernel without IPv6 has none to switch off.
fn set(key: &str, value: &str) {
    let path = format!("/proc/sys/net/{key}");
    if let Err(err) = fs::write(&path, value) {
        tracing::debug!(path, error = %err, "not set");
    }
}
