//! How control planes are talked to.

use std::path::PathBuf;

use super::Pair;
use super::reader::{Reader, Section};
use crate::RegionId;
use crate::address::Port;
use crate::spec::Spec;

/// TLS for the API and the console. Files in PEM; relative paths are in the run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneTls {
    /// What the control planes show: for every address and name they are asked at.
    pub own: Pair,
    /// What clients on this machine trust: the authority that has signed it.
    pub authority: PathBuf,
}

impl Reader {
    /// May be left out: control planes then talk in the open, on loopback alone.
    pub(super) fn control_plane(&mut self, root: &Section<'_>) -> Option<ControlPlaneTls> {
        let node = root.map.get_node("control-plane")?;
        let section = self.section(node, "control-plane".to_owned(), &["tls"])?;
        let node = self.get(&section, "tls")?;
        let keys = ["certificate", "key", "authority"];
        let tls = self.section(node, section.place_of("tls"), &keys)?;
        let own = self.files(&tls);
        let authority = self.text(&tls, "authority").map(|path| PathBuf::from(path.as_str()));
        Some(ControlPlaneTls { own: own?, authority: authority? })
    }
}

impl Spec {
    /// Returns where a region's control plane is asked, without a slash at the end.
    #[must_use]
    pub fn control_plane_url(&self, region: &RegionId) -> Option<String> {
        let scheme = if self.control_plane_tls.is_some() { "https" } else { "http" };
        let address = self.region_address(region, Port::ControlPlane)?;
        Some(format!("{scheme}://{address}"))
    }
}
