//! Whether everything can listen where `regions.yaml` puts it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use topology::Spec;
use topology::address::Port;

/// Returns a line for each address of which something is taken.
pub(super) fn problems(spec: &Spec) -> Vec<String> {
    // Standard listeners reuse addresses: what an earlier run left in TIME_WAIT is no obstacle.
    let refused = addresses(spec).into_iter().filter_map(|address| {
        let err = TcpListener::bind(address).err()?;
        Some((address, reason(&err)))
    });
    let mut by_host: BTreeMap<(IpAddr, String), Vec<String>> = BTreeMap::new();
    for (address, reason) in refused {
        by_host.entry((address.ip(), reason)).or_default().push(address.port().to_string());
    }
    by_host
        .into_iter()
        .map(|((host, reason), ports)| format!("{host}: port {}: {reason}", ports.join(", ")))
        .collect()
}

fn addresses(spec: &Spec) -> Vec<SocketAddr> {
    let of_regions = spec.regions.iter().flat_map(|region| {
        Port::OF_REGION.iter().filter_map(|port| spec.region_address(&region.id, *port))
    });
    let of_sites = spec.cells.iter().flat_map(|cell| {
        cell.regions().flat_map(|region| {
            Port::OF_SITE.iter().filter_map(|port| spec.site_address(&cell.id, region, *port))
        })
    });
    let admin = (1..=spec.edge.routers).map(|number| spec.router_admin_address(number));
    of_regions.chain(of_sites).chain([spec.edge.listen]).chain(admin).collect()
}

fn reason(err: &io::Error) -> String {
    if err.kind() == io::ErrorKind::AddrInUse {
        "in use by another process".to_owned()
    } else if err.kind() == io::ErrorKind::AddrNotAvailable {
        "not an address of this machine".to_owned()
    } else {
        err.to_string()
    }
}
