//! How routers and sites talk to each other: in the open, or each sure of the other.

use std::path::PathBuf;

use crate::spec::reader::{Reader, Section};

/// Mutual TLS between routers and sites. Each shows a certificate of the same authority, and accepts
/// the other only by its name: a router [`MutualTls::SITE`], a site [`MutualTls::ROUTER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutualTls {
    /// PEM: the certificates of the authority that signs for both.
    pub authority: PathBuf,
    pub router: Pair,
    pub site: Pair,
}

/// Files, in PEM. Relative paths are in the run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl MutualTls {
    /// The name in the certificate of every router.
    pub const ROUTER: &'static str = "router.bulkhead.internal";
    /// The name in the certificate of every site.
    pub const SITE: &'static str = "site.bulkhead.internal";
}

impl Reader {
    /// Reads the section; without it they talk in the open, which is for one machine only.
    pub(super) fn mutual_tls(&mut self, edge: &Section<'_>) -> Option<MutualTls> {
        let node = edge.map.get_node("sites")?;
        let sites = self.section(node, edge.place_of("sites"), &["authority", "router", "site"])?;
        let authority = self.text(&sites, "authority").map(|path| PathBuf::from(path.as_str()));
        let router = self.pair(&sites, "router");
        let site = self.pair(&sites, "site");
        Some(MutualTls { authority: authority?, router: router?, site: site? })
    }

    fn pair(&mut self, sites: &Section<'_>, key: &'static str) -> Option<Pair> {
        let node = self.get(sites, key)?;
        let pair = self.section(node, sites.place_of(key), &["certificate", "key"])?;
        self.files(&pair)
    }

    pub(in crate::spec) fn files(&mut self, pair: &Section<'_>) -> Option<Pair> {
        let certificate = self.text(pair, "certificate").map(|path| PathBuf::from(path.as_str()));
        let key = self.text(pair, "key").map(|path| PathBuf::from(path.as_str()));
        Some(Pair { certificate: certificate?, key: key? })
    }
}
