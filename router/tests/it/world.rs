//! An etcd and a router on addresses of their own, and what is published to them.

mod processes;
mod published;
mod told;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime::HttpClient;
use topology::CellId;

use crate::client::Client;
use processes::{etcd, kill, router, spec};
pub(crate) use published::Is;

/// Key of the development issuer in these tests.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Key that the router signs visitors' identities with.
const VISITOR_KEY: &str = "fedcba9876543210fedcba9876543210";
/// What is public where nothing is said.
pub(crate) const PUBLIC: &str = "public: [{path: /widget/*, cache: true}, \
                                 {path: /v1/kb/articles/*, cache: true}]";
/// Networks that nobody else uses: one per test that runs at the same time.
const NETWORKS: std::ops::RangeInclusive<u8> = 130..=137;
/// On a busy machine a process takes a second to start; this is long after.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    network: u8,
    folder: PathBuf,
    etcd: Child,
    router: Child,
    second: Option<Child>,
    /// A router that was, or is about to be, replaced by `router`.
    predecessor: Option<Child>,
    http: HttpClient,
    cells: Vec<CellId>,
    changes: u32,
    /// Keeps the network ours.
    _claim: TcpListener,
}

impl World {
    /// Starts etcd and a router that has not heard of any cell yet.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts with more keys under `edge`, such as `limits: {…}`.
    pub(crate) async fn start_with(edge: &str) -> Self {
        Self::start_in(|_| edge.to_owned(), |_| ()).await
    }

    /// Starts with more keys under `edge`, given the network's number, and with more files, and
    /// makes `gateway` the active site.
    pub(crate) async fn with_edge(
        more: impl FnOnce(u8) -> String,
        prepare: impl FnOnce(&Path),
        gateway: SocketAddr,
    ) -> Self {
        let mut world = Self::start_in(more, prepare).await;
        world.publish(7, &Is::ActiveIn("east"), gateway).await;
        world
    }

    async fn start_in(more: impl FnOnce(u8) -> String, prepare: impl FnOnce(&Path)) -> Self {
        let (network, claim) = claim();
        let name = format!("bulkhead-router-test-{}-{}", std::process::id(), claim_number());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("secrets")).unwrap();
        fs::write(folder.join("secrets/identity.key"), format!("{KEY}\n")).unwrap();
        fs::write(folder.join("secrets/visitor.keys"), format!("{VISITOR_KEY}\n")).unwrap();
        fs::write(folder.join("spec.yaml"), spec(network, &more(network))).unwrap();
        prepare(&folder);
        let etcd = etcd(network, &folder);
        let router = router(1, &folder, &[]);
        let http = HttpClient::default();
        let world = Self {
            network,
            folder,
            etcd,
            router,
            second: None,
            predecessor: None,
            http,
            cells: vec!["c1".parse().unwrap()],
            changes: 0,
            _claim: claim,
        };
        world.listening().await;
        world
    }

    /// Starts, and makes `gateway` the active site of `c1`, in east under epoch 7.
    pub(crate) async fn with_site(gateway: SocketAddr) -> Self {
        Self::with_site_and("", gateway).await
    }

    /// The same with more keys under `edge`.
    pub(crate) async fn with_site_and(edge: &str, gateway: SocketAddr) -> Self {
        let mut world = Self::start_with(edge).await;
        world.publish(7, &Is::ActiveIn("east"), gateway).await;
        world
    }

    /// The same where the files of this site are public.
    pub(crate) async fn with_files(gateway: SocketAddr) -> Self {
        Self::with_site_and(PUBLIC, gateway).await
    }

    /// Starts with two cells, each with its site.
    pub(crate) async fn with_two_cells(edge: &str, first: SocketAddr, second: SocketAddr) -> Self {
        let mut world = Self::start_with(edge).await;
        world.cells.push("c2".parse().unwrap());
        world.publish_beside(second).await;
        world.publish(7, &Is::ActiveIn("east"), first).await;
        world
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.edge())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where users come in.
    pub(crate) fn edge(&self) -> SocketAddr {
        format!("127.{}.0.1:8080", self.network).parse().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        kill(&mut self.router);
        self.second.iter_mut().chain(&mut self.predecessor).for_each(kill);
        kill(&mut self.etcd);
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.folder).unwrap();
        }
    }
}

/// Takes a network for this test, waiting for another test to end if all are taken.
fn claim() -> (u8, TcpListener) {
    loop {
        for network in NETWORKS {
            if let Ok(claim) = TcpListener::bind(format!("127.{network}.0.1:7999")) {
                return (network, claim);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Tells the folders of this run's tests apart; a failed test leaves its own behind.
fn claim_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
