//! How a line looks to those at its ends: whether a connection comes about, and how soon.

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use topology::address::Port;
use topology::spec::{End, Spec};
use topology::wire::fleet::Fleet;

use crate::drill::Only;
use crate::history::Clock;
use crate::wan::inside;

/// Four times the longest way there and back.
const SILENCE: Duration = Duration::from_secs(1);

/// What came of a connection from one end to another.
pub(super) struct Probe {
    from: End,
    to: End,
    /// How long it took; `None` if nobody answered.
    pub(super) took: Option<Duration>,
}

/// Tries to connect, all at once.
pub(super) async fn all(
    spec: &Spec,
    fleet: &Fleet,
    clock: Clock,
    only: Only,
    pairs: &[(End, End)],
) -> anyhow::Result<Vec<Probe>> {
    let probes = pairs.iter().map(async |(from, to)| {
        let address = address(spec, to, only).with_context(|| format!("find somebody in {to}"))?;
        let took = inside(fleet, from, move || {
            let begun = clock.now();
            let connected = TcpStream::connect_timeout(&address, SILENCE);
            Ok(connected.ok().map(|_| clock.now().saturating_sub(begun)))
        });
        Ok(Probe { from: from.clone(), to: to.clone(), took: took.await? })
    });
    join_all(probes).await.into_iter().collect()
}

/// Returns where somebody listens at an end.
fn address(spec: &Spec, end: &End, only: Only) -> Option<SocketAddr> {
    match end {
        End::Edge => Some(spec.router_admin_address(1)),
        End::Region(region) if only == Only::Postgres => {
            let cell = spec.cells.iter().find(|cell| cell.regions().any(|id| id == region))?;
            spec.site_address(&cell.id, region, Port::Postgres)
        }
        End::Region(region) => spec.region_address(region, Port::EtcdClient),
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.took {
            Some(took) => write!(f, "{} to {}: {} ms", self.from, self.to, took.as_millis()),
            None => write!(f, "{} to {}: silence", self.from, self.to),
        }
    }
}
