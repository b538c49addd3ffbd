//! TLS for users: an address of its own, and the files with the router's certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::spec::Problem;
use crate::spec::reader::{Reader, Section};

/// Where users come in with TLS, and who the router says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub listen: SocketAddr,
    /// PEM: the router's own certificate first, then those that lead to its authority. A relative
    /// path is in the run directory.
    pub certificate: PathBuf,
    /// PEM: the key of the first certificate.
    pub key: PathBuf,
}

impl Reader {
    /// Reads the section; without it users come in without TLS, or somebody in front has ended it.
    pub(super) fn tls(&mut self, edge: &Section<'_>, plain: Option<SocketAddr>) -> Option<Tls> {
        let node = edge.map.get_node("tls")?;
        let tls = self.section(node, edge.place_of("tls"), &["listen", "certificate", "key"])?;
        let listen = self.parsed::<SocketAddr>(&tls, "listen", "an address and port");
        let certificate = self.text(&tls, "certificate").map(|path| PathBuf::from(path.as_str()));
        let key = self.text(&tls, "key").map(|path| PathBuf::from(path.as_str()));
        if let Some(same) = listen.filter(|listen| Some(*listen) == plain) {
            self.report(&tls, "listen", Problem::Repeated(same.to_string()));
        }
        Some(Tls { listen: listen?, certificate: certificate?, key: key? })
    }
}
