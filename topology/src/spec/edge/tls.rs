//! TLS for users: an address of its own, and the files with the router's certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Pair;
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
    /// For users who ask for a name in one of these; all others are shown the first.
    pub others: Vec<Pair>,
}

/// More names than this belong into fewer certificates; each is looked at in every handshake.
const OTHERS_MAX: usize = 64;

impl Reader {
    /// Reads the section; without it users come in without TLS, or somebody in front has ended it.
    pub(super) fn tls(&mut self, edge: &Section<'_>, plain: Option<SocketAddr>) -> Option<Tls> {
        let node = edge.map.get_node("tls")?;
        let keys = ["listen", "certificate", "key", "others"];
        let tls = self.section(node, edge.place_of("tls"), &keys)?;
        let listen = self.parsed::<SocketAddr>(&tls, "listen", "an address and port");
        let certificate = self.text(&tls, "certificate").map(|path| PathBuf::from(path.as_str()));
        let key = self.text(&tls, "key").map(|path| PathBuf::from(path.as_str()));
        if let Some(same) = listen.filter(|listen| Some(*listen) == plain) {
            self.report(&tls, "listen", Problem::Repeated(same.to_string()));
        }
        let others = self.others(&tls);
        Some(Tls { listen: listen?, certificate: certificate?, key: key?, others })
    }

    /// May be left out.
    fn others(&mut self, tls: &Section<'_>) -> Vec<Pair> {
        if tls.map.get_node("others").is_none() {
            return Vec::new();
        }
        let items = self.list(tls, "others", &["certificate", "key"]);
        if items.len() > OTHERS_MAX {
            let found = format!("{} certificates", items.len());
            self.report(tls, "others", Problem::OutOfRange(found, "at most 64"));
        }
        items.iter().filter_map(|item| self.files(item)).collect()
    }
}
