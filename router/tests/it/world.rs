//! An etcd and a router on addresses of their own, and what is published to them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use client::Etcd;
use runtime::HttpClient;
use serde_json::Value;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::placement::PlacementRecord;
use topology::{Activation, CellId, Epoch, Phase, Placement, RegionId, Slot, Version};

use crate::client::Client;

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

/// What is published of a cell.
pub(crate) enum Is {
    ActiveIn(&'static str),
    Electing,
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
        let record = Self::record(7, &Is::ActiveIn("east"), [second; 3], "beside c1");
        world.put(&world.etcd(), &key::cell(&world.cells[1]), record).await;
        world.publish(7, &Is::ActiveIn("east"), first).await;
        world
    }

    /// Returns users of this cell, as many as are wanted.
    pub(crate) fn users_of(&self, cell: &'static str) -> impl Iterator<Item = String> + use<> {
        let placement = self.placement();
        let users = (0..).map(|number| format!("user-{number}"));
        users.filter(move |user| placement.cell_of(Slot::of(user)).as_str() == cell)
    }

    /// Publishes where `c1` is, with this gateway in every region, and waits until the router has
    /// it.
    pub(crate) async fn publish(&mut self, epoch: u64, is: &Is, gateway: SocketAddr) {
        self.publish_sites(epoch, is, [gateway; 3]).await;
    }

    /// The same with a gateway for each of east, north and south.
    pub(crate) async fn publish_sites(&mut self, epoch: u64, is: &Is, sites: [SocketAddr; 3]) {
        self.changes += 1;
        let reason = format!("change {}", self.changes);
        let etcd = self.etcd();
        if self.changes == 1 {
            let record = serde_json::to_vec(&PlacementRecord::from(&self.placement())).unwrap();
            self.put(&etcd, key::PLACEMENT, record).await;
        }
        let record = Self::record(epoch, is, sites, &reason);
        self.put(&etcd, &key::cell(&self.cells[0]), record).await;
        let user = self.users_of("c1").next().unwrap();
        self.eventually("the router applies the snapshot", async || {
            let published = self.reason(&user).await?;
            published.contains(&reason).then_some(())
        })
        .await;
    }

    fn etcd(&self) -> Etcd {
        Etcd::connect(vec![format!("http://127.{}.0.1:2379", self.network)])
    }

    fn placement(&self) -> Placement {
        let weights = self.cells.iter().map(|cell| (cell.clone(), 1)).collect();
        Placement::plan(&weights, Version(1))
    }

    fn record(epoch: u64, is: &Is, sites: [SocketAddr; 3], reason: &str) -> Vec<u8> {
        let phase = match is {
            Is::ActiveIn(region) => Phase::Steady { active: region.parse().unwrap() },
            Is::Electing => Phase::Electing { predecessor: None },
        };
        let activation = Activation {
            epoch: Epoch(epoch),
            phase,
            voters: ["north", "south"].map(|region| region.parse().unwrap()).into(),
            acks: 1,
            system: None,
            elected_at: None,
            reason: reason.to_owned(),
        };
        let regions = ["east", "north", "south"].map(|region| region.parse::<RegionId>().unwrap());
        let gateways = regions.into_iter().zip(sites).collect();
        serde_json::to_vec(&CellRecord::from(&RoutedCell { activation, gateways })).unwrap()
    }

    async fn reason(&self, user: &str) -> Option<String> {
        let route = self.explain_for(user).await?;
        route["why"].as_str().map(str::to_owned)
    }

    /// Asks the router where `ada` goes; none where it does not know yet.
    pub(crate) async fn explain(&self) -> Option<Value> {
        self.explain_for("ada").await
    }

    async fn explain_for(&self, user: &str) -> Option<Value> {
        let url = format!("http://127.{}.0.1:9080/_bulkhead/route?user={user}", self.network);
        self.http.get(&url, Duration::from_secs(1)).await.ok()
    }

    /// Asks something of the router's admin port.
    pub(crate) async fn admin(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.{}.0.1:9080{path}", self.network);
        self.http.get(&url, Duration::from_secs(1)).await.ok()
    }

    pub(crate) async fn post_admin(&self, path: &str, body: &str) -> (http::StatusCode, Value) {
        let url = format!("http://127.{}.0.1:9080{path}", self.network);
        let json = (http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let headers = http::HeaderMap::from_iter([json]);
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        let asked = self.http.call(http::Method::POST, &url, headers, body, Duration::from_secs(5));
        let answer = asked.await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// Runs `router rollback` on this router's disk, and returns whether it succeeded and its words.
    pub(crate) fn rollback(&self, flags: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_router"))
            .args(["rollback", "--run-dir"])
            .arg(&self.folder)
            .args(flags)
            .output()
            .unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(words).unwrap())
    }

    /// Kills etcd and leaves the router alone.
    pub(crate) fn kill_etcd(&mut self) {
        kill(&mut self.etcd);
    }

    /// Returns a metric's value.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics().await;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Returns all metrics.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://127.{}.0.1:9080/metrics", self.network);
        self.eventually("the router tells its metrics", async || {
            let (nothing, patience) = (http::HeaderMap::new(), Duration::from_secs(1));
            let body = bytes::Bytes::new();
            let answer = self.http.call(http::Method::GET, &url, nothing, body, patience).await;
            String::from_utf8(answer.ok()?.body.to_vec()).ok()
        })
        .await
    }

    /// Returns what the router has written down of its requests, once there are so many.
    pub(crate) async fn access_log(&self, lines: usize) -> String {
        let path = self.folder.join("routers/1/access.jsonl");
        self.eventually("the access log is written", async || {
            let text = fs::read_to_string(&path).ok()?;
            (text.lines().count() >= lines).then_some(text)
        })
        .await
    }

    /// Waits until so many requests are held.
    pub(crate) async fn held(&self, expected: f64) {
        self.eventually(&format!("{expected} requests are held"), async || {
            self.metric("router_held_requests ").await.filter(|held| (held - expected).abs() < 0.5)
        })
        .await;
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.edge())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until the router has logged something.
    pub(crate) async fn eventually_said(&self, what: &str) {
        let log = self.folder.join("router-1.log");
        self.eventually(&format!("the router says {what:?}"), async || {
            fs::read_to_string(&log).unwrap().contains(what).then_some(())
        })
        .await;
    }

    /// Where users come in.
    pub(crate) fn edge(&self) -> SocketAddr {
        format!("127.{}.0.1:8080", self.network).parse().unwrap()
    }

    /// Kills etcd, and replaces the router by a new process that cannot ask it.
    pub(crate) async fn restart_router_without_etcd(&mut self) {
        kill(&mut self.etcd);
        kill(&mut self.router);
        self.router = router(1, &self.folder, &[]);
        self.listening().await;
    }

    /// Starts a second router beside the first, on the same address, and waits until it is ready.
    pub(crate) async fn start_second_router(&mut self) {
        self.second = Some(router(2, &self.folder, &[]));
        let url = format!("http://127.{}.0.1:9081/readyz", self.network);
        self.eventually("the second router is ready", async || {
            self.http.get::<Value>(&url, Duration::from_secs(1)).await.ok()
        })
        .await;
    }

    /// Starts a new process in the router's place.
    pub(crate) fn start_successor(&mut self) {
        let successor = router(1, &self.folder, &["--replace"]);
        self.predecessor = Some(std::mem::replace(&mut self.router, successor));
    }

    /// Waits until the router that is replaced has been told so.
    pub(crate) async fn dismissed(&self) {
        self.eventually_said("stopping: replaced").await;
    }

    /// Replaces the router by a new process, and returns how the old one ended.
    pub(crate) async fn replace_router(&mut self) -> ExitStatus {
        self.start_successor();
        self.predecessor_ended().await
    }

    pub(crate) async fn predecessor_ended(&mut self) -> ExitStatus {
        ended(self.predecessor.as_mut().unwrap()).await
    }

    /// Asks the router to stop, and returns how it ended.
    pub(crate) async fn stop_router(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.router);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        ended(&mut self.router).await
    }

    async fn put(&self, etcd: &Etcd, key: &str, value: Vec<u8>) {
        self.eventually("etcd takes a write", async || etcd.put(key, value.clone()).await.ok())
            .await;
    }

    async fn listening(&self) {
        self.eventually("the router listens", async || {
            tokio::net::TcpStream::connect(self.edge()).await.ok()
        })
        .await;
    }

    /// Asks again and again until there is an answer.
    pub(crate) async fn eventually<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.folder.join("router-1.log")).unwrap_or_default();
        panic!("waited in vain until {what}; the router said:\n{log}");
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

async fn ended(router: &mut Child) -> ExitStatus {
    for _ in 0..PATIENCE.as_millis() / 20 {
        if let Some(status) = router.try_wait().unwrap() {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the router did not stop");
}

fn kill(process: &mut Child) {
    // Fails for a process that has ended already, which is as good.
    if process.kill().is_ok() {
        process.wait().unwrap();
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

fn etcd(network: u8, folder: &Path) -> Child {
    let client = format!("http://127.{network}.0.1:2379");
    let peer = format!("http://127.{network}.0.1:2380");
    Command::new("etcd")
        .args(["--name", "east", "--log-level", "error", "--data-dir"])
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("east={peer}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd is installed (apt: etcd-server)")
}

fn router(number: u16, folder: &Path, more: &[&str]) -> Child {
    let log = folder.join(format!("router-{number}.log"));
    let log = File::options().create(true).append(true).open(log).unwrap();
    Command::new(env!("CARGO_BIN_EXE_router"))
        .args(["--id", &number.to_string(), "--spec"])
        .arg(folder.join("spec.yaml"))
        .arg("--run-dir")
        .arg(folder)
        .args(more)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// One cell; only east's network is used, for etcd and the router itself.
fn spec(network: u8, edge: &str) -> String {
    let edge = if edge.is_empty() { String::new() } else { format!(", {edge}") };
    // With nothing public the router asks sites nothing of its own accord.
    let public = if edge.contains("public: ") { "" } else { ", public: []" };
    format!(
        "version: 1
regions:
  - {{id: east, name: east, network: 127.{network}.0.0/16}}
  - {{id: north, name: north, network: 127.138.0.0/16}}
  - {{id: south, name: south, network: 127.139.0.0/16}}
cells:
  - {{id: c1, weight: 1, home: east, standbys: [north, south]}}
edge: {{listen: \"127.{network}.0.1:8080\", admin: \"127.{network}.0.1:9080\", routers: 2{edge}{public}}}
lease: {{renew: 500ms, right: 1600ms, patience: 2s}}
messages: weak
"
    )
}
