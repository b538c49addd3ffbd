//! Where everything listens.
//!
//! Each region is a network of its own (on one machine a part of the loopback range), so that every
//! program uses the same port everywhere: region 2's third cell has its gateway at
//! `127.2.3.1:8000`, and its 253rd at `127.2.3.2:8000`. The region's own processes, etcd and the
//! control plane, live at `127.2.0.1`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{CellId, RegionId, Spec};

/// Something that listens at a fixed port of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    EtcdClient,
    EtcdPeer,
    ControlPlane,
    ControlPlaneAdmin,
    Agent,
    AgentAdmin,
    Gateway,
    SessionAdmin,
    Nlp,
    NlpAdmin,
    Knowledge,
    KnowledgeAdmin,
    Ticket,
    TicketAdmin,
    Postgres,
    /// A former primary that is only read before it is rebuilt; nobody else finds it here.
    PostgresAside,
}

impl Port {
    /// What a region has once.
    pub const OF_REGION: [Self; 4] =
        [Self::EtcdClient, Self::EtcdPeer, Self::ControlPlane, Self::ControlPlaneAdmin];

    /// What every site has.
    pub const OF_SITE: [Self; 12] = [
        Self::Agent,
        Self::AgentAdmin,
        Self::Gateway,
        Self::SessionAdmin,
        Self::Nlp,
        Self::NlpAdmin,
        Self::Knowledge,
        Self::KnowledgeAdmin,
        Self::Ticket,
        Self::TicketAdmin,
        Self::Postgres,
        Self::PostgresAside,
    ];

    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::EtcdClient => 2379,
            Self::EtcdPeer => 2380,
            Self::ControlPlane => 7000,
            Self::ControlPlaneAdmin => 7001,
            Self::Agent => 7100,
            Self::AgentAdmin => 7101,
            Self::Gateway => 8000,
            Self::SessionAdmin => 8001,
            Self::Nlp => 8100,
            Self::NlpAdmin => 8101,
            Self::Knowledge => 8200,
            Self::KnowledgeAdmin => 8201,
            Self::Ticket => 8300,
            Self::TicketAdmin => 8301,
            Self::Postgres => 5432,
            Self::PostgresAside => 5433,
        }
    }
}

/// Cells whose addresses differ in the third octet, less the region's own and the broadcast address.
/// Those after them differ in the fourth too.
const IN_A_ROW: usize = 250;

impl Spec {
    /// Returns where one of a region's own processes listens; `None` for an unknown region.
    #[must_use]
    pub fn region_address(&self, region: &RegionId, port: Port) -> Option<SocketAddr> {
        let [a, b] = self.region(region)?.network.prefix();
        Some(at([a, b, 0, 1], port.number()))
    }

    /// Returns where one of a site's processes listens; `None` for an unknown cell or region.
    #[must_use]
    pub fn site_address(&self, cell: &CellId, region: &RegionId, port: Port) -> Option<SocketAddr> {
        let [a, b] = self.region(region)?.network.prefix();
        let position = self.cells.iter().position(|listed| listed.id == *cell)?;
        let octet = |number| u8::try_from(number + 1).expect("a spec has at most 250 × 250 cells");
        Some(at([a, b, octet(position % IN_A_ROW), octet(position / IN_A_ROW)], port.number()))
    }

    /// Returns every etcd member's client address, the given region's own first: the nearest is
    /// asked first, the others when it does not answer.
    #[must_use]
    pub fn etcd_endpoints(&self, nearest: Option<&RegionId>) -> Vec<String> {
        let (own, others): (Vec<_>, Vec<_>) =
            self.regions.iter().partition(|region| Some(&region.id) == nearest);
        own.into_iter()
            .chain(others)
            .filter_map(|region| self.region_address(&region.id, Port::EtcdClient))
            .map(|address| format!("http://{address}"))
            .collect()
    }

    /// Returns the admin address of the router with this number, counted from 1.
    #[must_use]
    pub fn router_admin_address(&self, number: u16) -> SocketAddr {
        let SocketAddr::V4(first) = self.edge.admin else { return self.edge.admin };
        at(first.ip().octets(), first.port() + number.saturating_sub(1))
    }
}

fn at(octets: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_thousand_cells_have_an_address_each() {
        let mut text = include_str!("../../regions.yaml").to_owned();
        let (_, rest) = text.split_once("\ncells:\n").unwrap();
        let (listed, _) = rest.split_once("\n\n").unwrap();
        let mut more = String::new();
        for number in 4..=1000 {
            let cell = format!("id: c{number}, weight: 1, home: east, standbys: [north, south]");
            writeln!(more, "  - {{{cell}}}").unwrap();
        }
        text = text.replace(listed, &format!("{listed}\n{more}"));
        let spec = Spec::parse(&text).unwrap();
        let east = "east".parse().unwrap();
        let at = |cell: &str| {
            spec.site_address(&cell.parse().unwrap(), &east, Port::Gateway).unwrap().to_string()
        };
        assert_eq!((at("c250"), at("c253")), ("127.1.250.1:8000".into(), "127.1.3.2:8000".into()));
        let all: BTreeSet<_> = spec
            .cells
            .iter()
            .map(|cell| spec.site_address(&cell.id, &east, Port::Gateway).unwrap())
            .collect();
        assert_eq!(all.len(), 1000);
    }
}
