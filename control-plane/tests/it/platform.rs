//! Three regions, one cell or more, etcd in the first region, stand-ins for the sites' agents, and as
//! many control planes as a test wants.

use std::fs::File;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use client::Etcd as Client;
use control_plane::app;
use control_plane::config::{Config, RawConfig};
use runtime::http_client::Answer;
use runtime::{HttpClient, Tasks};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};
use topology::address::Port;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::{CellId, RegionId, SiteId, Spec};

use crate::agent::Agent;
use crate::etcd::Etcd;

pub(crate) const REGIONS: [&str; 3] = ["east", "north", "south"];
/// A token of each role; the hashes are in [`CALLERS`].
pub(crate) const TOKEN: &str = "test-token";
pub(crate) const OPERATOR: &str = "operator-token";
pub(crate) const VIEWER: &str = "viewer-token";
/// What control planes know of them.
const CALLERS: &str = "\
ada admin 4c5dc9b7708905f77f5e5d16316b5dfb425e68cb326dcd55a860e90a7707031e
otto operator 0850123315d21ab90f4f7236408a52ef6dbd6a02a6550e5c10dc73f4d993680e
vera viewer d036bd6d01a1cae081d39a2f8dab751dc042de814fd60df31fcb553170950f29
";
/// How long anything that is waited for may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Tests that may run at once: each has three networks of its own.
const PLACES: u8 = 3;
/// Up to 228, where the tests of no other program are.
const FIRST_NETWORK: u8 = 220;
/// The first of some in which nobody is, whichever tests run.
pub(crate) const EMPTY_NETWORKS: u8 = FIRST_NETWORK + 3 * PLACES;

pub(crate) struct Platform {
    pub(crate) spec: Arc<Spec>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) client: Client,
    folder: PathBuf,
    /// Held as long as the networks are used; other test processes wait for it.
    _place: File,
}

impl Platform {
    /// Finds free networks and writes down what control planes read.
    pub(crate) fn prepare() -> Self {
        Self::prepare_cells(&["east"])
    }

    /// The same with more in its `regions.yaml`.
    pub(crate) fn prepare_with(more: &str) -> Self {
        Self::prepare_spec(&["east"], |text| text + more)
    }

    /// The same with a cell for each of these homes: c1, c2 and so on.
    pub(crate) fn prepare_cells(homes: &[&str]) -> Self {
        Self::prepare_spec(homes, |text| text)
    }

    /// The same, with its `regions.yaml` changed.
    pub(crate) fn prepare_spec(homes: &[&str], change: impl FnOnce(String) -> String) -> Self {
        let (place, number) = free_place();
        let folder =
            std::env::temp_dir().join(format!("bulkhead-cp-{}-{number}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(folder.join("secrets")).unwrap();
        std::fs::write(folder.join("secrets/control-plane.callers"), CALLERS).unwrap();
        std::fs::write(folder.join("secrets/console.key"), "k".repeat(64)).unwrap();
        let text = change(spec(FIRST_NETWORK + 3 * number, homes));
        std::fs::write(folder.join("regions.yaml"), &text).unwrap();
        let spec = Arc::new(Spec::parse(&text).unwrap());
        let sites = spec.cells.iter().flat_map(|cell| {
            REGIONS.map(|region| SiteId { cell: cell.id.clone(), region: region.parse().unwrap() })
        });
        let agents: Vec<Agent> = sites.map(Agent::new).collect();
        let client = Client::connect(spec.etcd_endpoints(None));
        Self { spec, agents, client, folder, _place: place }
    }

    /// Starts etcd, the agents and control planes in these regions, and runs the test among them.
    pub(crate) fn run<F: AsyncFnOnce(&Self)>(
        control_planes: &[&str],
        test: F,
    ) -> Pin<Box<impl Future<Output = ()>>> {
        Self::prepare().start(control_planes, test)
    }

    /// The same, of what was prepared.
    pub(crate) fn start<F: AsyncFnOnce(&Self)>(
        self,
        control_planes: &[&str],
        test: F,
    ) -> Pin<Box<impl Future<Output = ()>>> {
        Box::pin(async move {
            let platform = self;
            let etcd = platform.etcd();
            let mut tasks = Tasks::default();
            platform.agents(&mut tasks);
            for region in control_planes {
                platform.control_plane(&mut tasks, region);
            }
            Box::pin(tasks.run(test(&platform), LIMIT)).await.unwrap();
            etcd.kill().await;
        })
    }

    pub(crate) fn agents(&self, tasks: &mut Tasks) {
        for agent in &self.agents {
            let (spec, client) = (Arc::clone(&self.spec), self.client.clone());
            tasks.start(&agent.id.to_string(), |stop| agent.clone().run(spec, client, stop));
        }
    }

    pub(crate) fn control_plane(&self, tasks: &mut Tasks, region: &str) {
        let config = self.config(region);
        tasks.start(&format!("control plane {region}"), |stop| {
            app::serve(config, stop.cancelled_owned())
        });
    }

    pub(crate) fn config(&self, region: &str) -> Config {
        let raw = RawConfig {
            region: region.parse().unwrap(),
            spec: self.folder.join("regions.yaml"),
            run_dir: self.folder.clone(),
            drills: None,
        };
        Config::read(&raw).unwrap()
    }

    /// Starts etcd, or starts it again on what it had.
    pub(crate) fn etcd(&self) -> Etcd {
        let address = |port| self.spec.region_address(&self.spec.regions[0].id, port).unwrap();
        Etcd::start(address(Port::EtcdClient), address(Port::EtcdPeer), &self.etcd_folder())
    }

    pub(crate) fn etcd_folder(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub(crate) fn agent(&self, region: &str) -> &Agent {
        self.agent_at(&site(region).to_string())
    }

    /// The stand-in at a site such as `c2@east`.
    pub(crate) fn agent_at(&self, site: &str) -> &Agent {
        self.agents.iter().find(|agent| agent.id.to_string() == site).unwrap()
    }

    /// Returns the cell as stored.
    pub(crate) async fn cell(&self) -> Option<RoutedCell> {
        let stored = self.client.read(&[&key::cell(&cell())]).await.ok()?;
        let record: CellRecord = serde_json::from_slice(&stored.first()?.value).unwrap();
        Some(record.try_into().unwrap())
    }

    /// Writes the cell as a control plane or an agent would that then does nothing more.
    pub(crate) async fn write(&self, change: impl FnOnce(&RoutedCell) -> RoutedCell) {
        let key = key::cell(&cell());
        let stored = self.client.read(&[&key]).await.unwrap().remove(0);
        let record: CellRecord = serde_json::from_slice(&stored.value).unwrap();
        let next = change(&record.try_into().unwrap());
        let value = serde_json::to_vec(&CellRecord::from(&next)).unwrap();
        self.client.put_if(&key, &value, &[(&key, stored.revision)]).await.unwrap();
    }

    /// Waits until the cell reads `expected`, such as `epoch 3, steady in south`.
    pub(crate) async fn until_cell_is(&self, expected: &str) {
        let mut last = String::new();
        let reached = self.until(async || {
            let cell = self.cell().await;
            last = cell.map_or_else(String::new, |cell| cell.activation.to_string());
            last == expected
        });
        let reached = reached.await;
        assert!(reached, "expected {expected}, found {last}");
    }

    /// Waits until the cell is steady in `region`, whatever the epoch.
    pub(crate) async fn until_serving(&self, region: &str) {
        let serving = self.until(async || {
            let cell = self.cell().await;
            cell.is_some_and(|cell| {
                cell.activation.serving().is_some_and(|active| active.as_str() == region)
            })
        });
        assert!(serving.await, "{region} does not serve");
    }

    /// Waits until the control plane in `region` has every site in sight and the cell at rest.
    pub(crate) async fn until_known(&self, region: &str) {
        let reached = self.until(async || {
            let answer = self.get(region, "/v1/cells/c1").await;
            answer.is_some_and(|cell| cell["redundant"] == true)
        });
        assert!(reached.await, "the cell is not redundant, seen from {region}");
    }

    /// Waits until the control plane in `region` goes by what the one in `other` sees.
    pub(crate) async fn until_heard(&self, region: &str, other: &str) {
        let heard = self.until(async || {
            let Some(matrix) = self.get(region, "/v1/vantages").await else { return false };
            let mut rows = matrix["data"].as_array().unwrap().iter();
            rows.any(|row| row["id"] == other && row["fresh"] == true)
        });
        assert!(heard.await, "{other} was not heard in {region}");
    }

    /// Waits until the cells are active in these regions and redundant, seen from `region`.
    pub(crate) async fn until_active(&self, region: &str, expected: &[&str]) {
        let mut last = Value::Null;
        let reached = self.until(async || {
            let Some(cells) = self.get(region, "/v1/cells").await else { return false };
            let cells = cells["data"].as_array().unwrap();
            let active = |cell: &Value| (cell["active"].clone(), cell["redundant"] == true);
            let found: Vec<(Value, bool)> = cells.iter().map(active).collect();
            last = json!(found);
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|((active, redundant), at)| active == at && *redundant)
        });
        assert!(reached.await, "expected {expected:?}, found {last}");
    }

    /// Waits until a control plane tells something of a site such as `c2@east`.
    pub(crate) async fn until_site(&self, vantage: &str, site: &str, tells: (&str, Value)) {
        let (cell, region) = site.split_once('@').unwrap();
        let (name, expected) = tells;
        let told = self.until(async || {
            let cell = self.get(vantage, &format!("/v1/cells/{cell}")).await.unwrap();
            let mut sites = cell["sites"].as_array().unwrap().iter();
            sites.any(|site| site["region"] == region && site[name] == expected)
        });
        assert!(told.await, "{name} of {site} is not {expected}");
    }

    /// Asks again and again, until it is so or has taken too long.
    pub(crate) async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) -> bool {
        let mut ticks = interval(Duration::from_millis(20));
        let asking = async {
            loop {
                ticks.tick().await;
                if is_so().await {
                    return;
                }
            }
        };
        timeout(LIMIT, asking).await.is_ok()
    }

    pub(crate) fn address(&self, region: &str, port: Port) -> std::net::SocketAddr {
        self.spec.region_address(&region.parse::<RegionId>().unwrap(), port).unwrap()
    }

    /// Returns where something of a region's control plane is.
    pub(crate) fn url(&self, region: &str, path: &str) -> String {
        let at = self.spec.control_plane_url(&region.parse::<RegionId>().unwrap()).unwrap();
        format!("{at}{path}")
    }

    /// A client without connections: those to a control plane that a test has ended would be answered
    /// by what is left of it. It trusts whom the platform says.
    fn http(&self) -> HttpClient {
        let tls = self.spec.control_plane_tls.as_ref();
        let authority = tls.map(|tls| self.folder.join(&tls.authority));
        HttpClient::trusting(authority.as_deref()).unwrap()
    }

    /// Reads, with more headers.
    pub(crate) async fn ask(&self, region: &str, path: &str, headers: HeaderMap) -> Answer {
        let mut headers = headers;
        headers.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        let url = self.url(region, path);
        self.http().call("GET".parse().unwrap(), &url, headers, "", LIMIT).await.unwrap()
    }

    /// Reads under another authorization; returns the status and the body.
    pub(crate) async fn ask_as(&self, region: &str, path: &str, who: &str) -> (u16, Value) {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, who.parse().unwrap())]);
        let url = self.url(region, path);
        let answer = self.http().call("GET".parse().unwrap(), &url, headers, "", LIMIT).await;
        let answer = answer.unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
    }

    /// Reads JSON, whether it is a problem or not.
    pub(crate) async fn page(&self, region: &str, path: &str) -> Value {
        let json = HeaderMap::from_iter([(header::ACCEPT, "application/json".parse().unwrap())]);
        serde_json::from_slice(&self.ask(region, path, json).await.body).unwrap()
    }

    /// Returns what a control plane answers, if it answers well.
    pub(crate) async fn get(&self, region: &str, path: &str) -> Option<Value> {
        let answer = self.call(region, "GET", path, Some(TOKEN), "").await?;
        answer.json("").ok()
    }

    pub(crate) async fn switchover(&self, region: &str, body: &str) -> (u16, Value) {
        self.post(region, "/v1/cells/c1/switchover", body).await
    }

    pub(crate) async fn failover(&self, region: &str, body: &str) -> (u16, Value) {
        self.post(region, "/v1/cells/c1/failover", body).await
    }

    pub(crate) async fn post(&self, region: &str, path: &str, body: &str) -> (u16, Value) {
        self.write_with(region, "POST", path, body, &[]).await
    }

    /// Sends a write with headers of its own.
    pub(crate) async fn write_with(
        &self,
        region: &str,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&'static str, &str)],
    ) -> (u16, Value) {
        let url = self.url(region, path);
        let mut all = axum::http::HeaderMap::new();
        all.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        let method = method.parse().unwrap();
        let answer = self.http().call(method, &url, all, body.to_owned(), LIMIT).await.unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
    }

    pub(crate) async fn call(
        &self,
        region: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Option<Answer> {
        let url = self.url(region, path);
        let mut headers = axum::http::HeaderMap::new();
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let method = method.parse().unwrap();
        self.http().call(method, &url, headers, body.to_owned(), LIMIT).await.ok()
    }

    /// Sends what no client of the API would.
    pub(crate) async fn send(
        &self,
        method: axum::http::Method,
        url: &str,
        headers: axum::http::HeaderMap,
        body: &str,
    ) -> Answer {
        self.http().call(method, url, headers, body.to_owned(), LIMIT).await.unwrap()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Returns whether a control plane says something of its tasks on its admin port.
    pub(crate) async fn tells(&self, region: &str, what: &str) -> bool {
        let url = format!("http://{}/tasks", self.address(region, Port::ControlPlaneAdmin));
        let headers = axum::http::HeaderMap::new();
        let answer = self.http().call("GET".parse().unwrap(), &url, headers, "", LIMIT).await;
        answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.body).contains(what))
    }

    /// Replaces what control planes know of who may call.
    pub(crate) fn write_callers(&self, text: &str) {
        std::fs::write(self.folder.join("secrets/control-plane.callers"), text).unwrap();
    }

    pub(crate) fn token() -> &'static str {
        TOKEN
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // A failed test may still have etcd writing there; the next one starts from nothing anyway.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub(crate) fn cell() -> CellId {
    "c1".parse().unwrap()
}

pub(crate) fn site(region: &str) -> SiteId {
    SiteId { cell: cell(), region: region.parse().unwrap() }
}

/// Takes the first place that no other test is at, or waits for one.
fn free_place() -> (File, u8) {
    let open = |number: u8| {
        let path = std::env::temp_dir().join(format!("bulkhead-cp-place-{number}"));
        File::options().create(true).append(true).open(path).unwrap()
    };
    for number in 0..PLACES {
        let place = open(number);
        if place.try_lock().is_ok() {
            return (place, number);
        }
    }
    let number = u8::try_from(std::process::id() % u32::from(PLACES)).unwrap();
    let place = open(number);
    place.lock().unwrap();
    (place, number)
}

fn spec(network: u8, homes: &[&str]) -> String {
    let cells = homes.iter().enumerate().map(|(number, home)| {
        let others: Vec<&str> = REGIONS.into_iter().filter(|region| region != home).collect();
        let (number, standbys) = (number + 1, others.join(", "));
        format!("  - {{id: c{number}, weight: 1, home: {home}, standbys: [{standbys}]}}\n")
    });
    let cells: String = cells.collect();
    format!(
        "version: 1
regions:
  - {{id: east, name: East, network: 127.{network}.0.0/16}}
  - {{id: north, name: North, network: 127.{}.0.0/16}}
  - {{id: south, name: South, network: 127.{}.0.0/16}}
cells:
{cells}edge: {{listen: \"127.{network}.0.2:8080\", admin: \"127.{network}.0.2:9080\", routers: 1}}
lease: {{renew: 200ms, right: 500ms, patience: 1s}}
messages: weak
",
        network + 1,
        network + 2
    )
}
