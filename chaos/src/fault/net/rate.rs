//! `net.rate`: no more than so much a second goes through each of a region's lines.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use topology::address::Port;
use topology::spec::End;
use topology::wire::wan::Policy;

use super::{Injection, Net};
use crate::drill::Towards;
use crate::safeguard::Safeguard;
use crate::wan::inside;

/// What is sent would take this long at the rate.
const SENDING: Duration = Duration::from_secs(1);
const SEEN: u32 = 80;
/// Of others' use of the line, several times over.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn inject(
    net: &Net<'_>,
    kbit: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let bench = net.bench;
    injection.begin(&bench.clock);
    net.set(&Policy { rate_kbit: Some(kbit), ..Policy::default() }, safeguard)?;
    injection.step(&bench.clock, format!("at most {kbit} kbit/s over each of {}", net.told()));
    let (others, _) = net.others();
    let other = others.first().context("find a line: there is none")?;
    let (from, to) = match net.lines.towards {
        Towards::Both | Towards::Out => (net.here(), other.clone()),
        Towards::In => (other.clone(), net.here()),
    };
    let bytes = kbit * 1000 / 8 * SENDING.as_secs();
    let took = send(net, &from, &to, bytes).await?;
    let least = SENDING * SEEN / 100;
    ensure!(took >= least, "see {bytes} bytes take {least:?}: they took {took:?}");
    injection.proof.push(format!("{bytes} bytes took {} ms from {from} to {to}", took.as_millis()));
    Ok(())
}

/// Returns how long it takes until everything has arrived.
async fn send(net: &Net<'_>, from: &End, to: &End, bytes: u64) -> anyhow::Result<Duration> {
    let bench = net.bench;
    let (spec, fleet) = (&bench.platform.spec, bench.platform.fleet()?);
    let host: IpAddr = match to {
        End::Edge => spec.edge.admin.ip(),
        End::Region(region) => {
            spec.region_address(region, Port::EtcdClient).context("find the region")?.ip()
        }
    };
    let listen = move || TcpListener::bind(SocketAddr::new(host, 0)).context("listen");
    let listener = inside(&fleet, to, listen).await?;
    let address = listener.local_addr().context("find the own address")?;
    let clock = bench.clock;
    inside(&fleet, from, move || {
        let begun = clock.now();
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
        let (mut taken, _) = listener.accept().context("accept")?;
        taken.set_read_timeout(Some(PATIENCE)).context("limit the wait")?;
        let receiver = std::thread::spawn(move || {
            std::io::copy(&mut (&mut taken).take(bytes), &mut std::io::sink())
        });
        let size = usize::try_from(bytes).context("send so much")?;
        stream.write_all(&vec![0; size]).context("send")?;
        let arrived = receiver.join().ok().context("receive")?.context("receive")?;
        ensure!(arrived == bytes, "receive {bytes} bytes: {arrived} arrived");
        Ok(clock.now().saturating_sub(begun))
    })
    .await
}
