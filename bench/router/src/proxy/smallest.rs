//! The smallest proxy that Pingora can be: hashes `x-user-id`. What it costs is Pingora's own share of a
//! router.

use std::net::SocketAddr;
use std::path::Path;

use crate::sites::SITES;

pub(super) fn prepare(address: SocketAddr, program: &Path) -> Vec<String> {
    let words = [program.to_string_lossy().into_owned(), address.to_string()];
    words.into_iter().chain(SITES.map(ToOwned::to_owned)).collect()
}
