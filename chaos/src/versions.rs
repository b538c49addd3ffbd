//! What a run was about: which versions of what the platform stands on, as these say themselves.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use runtime::HttpClient;
use serde::Deserialize;
use tokio::time::timeout;
use topology::SiteId;

use crate::final_reads::database;
use crate::platform::Platform;

/// All are asked at once, before anything is broken: whoever takes longer is not known.
const ASK: Duration = Duration::from_secs(2);
const KERNEL: &str = "/proc/sys/kernel/osrelease";
/// What the program was built from, where whoever built it said so (`make build` does).
const COMMIT: Option<&str> = option_env!("BULKHEAD_REVISION");

/// Nothing where nobody told; where they differ, all there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) postgresql: Option<String>,
    pub(crate) etcd: Option<String>,
    pub(crate) kernel: Option<String>,
}

/// What etcd answers at `/version`.
#[derive(Deserialize)]
struct EtcdVersion {
    etcdserver: String,
}

/// Returns the program's own commit.
pub(crate) fn commit() -> Option<&'static str> {
    COMMIT.filter(|commit| !commit.is_empty())
}

/// Asks every database, every member of etcd and the kernel, for two seconds at most.
pub(crate) async fn read(platform: &Platform) -> Versions {
    let cells = platform.spec.cells.iter();
    let sites = cells.flat_map(|cell| {
        cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
    });
    let sites: Vec<SiteId> = sites.collect();
    let databases = sites.iter().map(|site| timeout(ASK, of_database(platform, site)));
    let http = HttpClient::default();
    let endpoints = platform.spec.etcd_endpoints(None);
    let members = endpoints.iter().map(|at| of_etcd(&http, at));
    let (databases, members) = tokio::join!(join_all(databases), join_all(members));
    Versions {
        // One that does not answer is what a report's other parts are about.
        postgresql: all(databases.into_iter().flatten().flatten()),
        etcd: all(members.into_iter().flatten()),
        kernel: fs::read_to_string(KERNEL).ok().map(|told| told.trim().to_owned()),
    }
}

async fn of_database(platform: &Platform, site: &SiteId) -> anyhow::Result<String> {
    database::ask(platform, site, async |client| {
        let row = client.query_one("SELECT current_setting('server_version')", &[]);
        Ok(row.await.context("ask for its version")?.get(0))
    })
    .await
}

async fn of_etcd(http: &HttpClient, at: &str) -> Option<String> {
    let told: EtcdVersion = http.get(&format!("{at}/version"), ASK).await.ok()?;
    Some(told.etcdserver)
}

fn all(told: impl Iterator<Item = String>) -> Option<String> {
    let told: BTreeSet<String> = told.collect();
    (!told.is_empty()).then(|| told.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_differ_are_all_told_and_none_is_not_known() {
        let told = |versions: &[&str]| all(versions.iter().map(|version| (*version).to_owned()));
        assert_eq!(told(&["15.18", "15.18", "15.18"]), Some("15.18".to_owned()));
        assert_eq!(told(&["15.18", "15.14"]), Some("15.14, 15.18".to_owned()));
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn the_kernel_of_this_machine_is_known() {
        let told = fs::read_to_string(KERNEL).unwrap();
        assert!(told.trim().starts_with(|letter: char| letter.is_ascii_digit()), "{told}");
    }
}
