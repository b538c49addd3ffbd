//! Where users come in, and what is done for them there.

mod access_log;
pub mod identity;
mod limits;
mod public;
mod sites;
mod tls;
mod trusted_proxies;

use std::net::SocketAddr;

use identity::Trust;

use super::Problem;
use super::reader::{Reader, Section};

pub use access_log::{AccessLog, Destination};
pub use limits::{Breaker, Head, Held, Limits, Rate, Slow};
pub use public::{Keep, Public};
pub use sites::{MutualTls, Pair};
pub use tls::Tls;
pub use trusted_proxies::Cidr;

const ROUTERS_MAX: u16 = 16;
const KEYS: [&str; 10] = [
    "listen",
    "admin",
    "routers",
    "tls",
    "sites",
    "identity",
    "limits",
    "trusted-proxies",
    "public",
    "access-log",
];

/// Where users come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub listen: SocketAddr,
    /// The first router's admin address; each further router takes the next port.
    pub admin: SocketAddr,
    pub routers: u16,
    pub tls: Option<Tls>,
    /// None: routers and sites talk in the open.
    pub sites: Option<MutualTls>,
    /// Whose tokens the routers trust.
    pub identity: Trust,
    pub limits: Limits,
    /// Whose word about the client's address is taken.
    pub trusted_proxies: Vec<Cidr>,
    pub public: Public,
    pub access_log: AccessLog,
}

impl Reader {
    pub(super) fn edge(&mut self, root: &Section<'_>) -> Option<Edge> {
        let node = self.get(root, "edge")?;
        let edge = self.section(node, "edge".to_owned(), &KEYS)?;
        let listen = self.parsed::<SocketAddr>(&edge, "listen", "an address and port");
        let admin = self.parsed::<SocketAddr>(&edge, "admin", "an address and port");
        let routers = self.parsed::<u16>(&edge, "routers", "a whole number");
        if let Some(routers) = routers.filter(|routers| !(1..=ROUTERS_MAX).contains(routers)) {
            self.report(&edge, "routers", Problem::OutOfRange(routers.to_string(), "1 to 16"));
        }
        let tls = self.tls(&edge, listen);
        let sites = self.mutual_tls(&edge);
        let identity = self.identity(&edge)?;
        let limits = self.limits(&edge);
        let trusted_proxies = self.trusted_proxies(&edge);
        let public = self.public(&edge);
        let access_log = self.access_log(&edge);
        Some(Edge {
            listen: listen?,
            admin: admin?,
            routers: routers?,
            tls,
            sites,
            identity,
            limits,
            trusted_proxies,
            public,
            access_log: access_log?,
        })
    }
}
