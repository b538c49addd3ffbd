//! A real platform: every process, etcd and PostgreSQL, on loopback addresses that no other has.

mod database;
mod faults;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use jsonwebtoken::{EncodingKey, Header};
use runtime::HttpClient;
use runtime::http_client::Answer;
use serde_json::Value;
use tokio::time::Instant;
use topology::address::Port;
use topology::{RegionId, Slot, Spec};

/// First octets tried for a platform's networks: 127.`n`.0.0/16 and the three that follow.
const NETWORKS: std::ops::Range<u8> = 20..100;
/// Holding this port of the first network means that the four networks are taken.
const RESERVED: u16 = 9;
const ASK: Duration = Duration::from_secs(3);
/// A failover waits out a right, and for its votes.
const ORDER: Duration = Duration::from_secs(20);
/// How long a cell may take to become what a test waits for: a copied database, twice over.
const UNTIL: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

pub struct Platform {
    folder: PathBuf,
    /// What its processes find in their environment.
    environment: Vec<(&'static str, String)>,
    pub spec: Spec,
    pub http: HttpClient,
    _reserved: TcpListener,
}

impl Platform {
    /// Starts a platform with the repository's regions and cells, and waits until it serves.
    pub fn up() -> anyhow::Result<Self> {
        Self::up_with(|written| written)
    }

    /// Starts one whose `regions.yaml` was changed.
    pub fn up_with(change: impl FnOnce(String) -> String) -> anyhow::Result<Self> {
        Self::up_in(Vec::new(), change)
    }

    /// Starts one whose processes find this in their environment.
    pub fn up_in(
        environment: Vec<(&'static str, String)>,
        change: impl FnOnce(String) -> String,
    ) -> anyhow::Result<Self> {
        let (first, reserved) = free_networks()?;
        let folder =
            std::env::temp_dir().join(format!("bulkhead-e2e-{first}-{}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("remove an earlier folder")?;
        }
        std::fs::create_dir_all(&folder).context("make the platform's folder")?;
        let written = include_str!("../../regions.yaml");
        let text = (1..=3).rev().fold(written.to_owned(), |text, region: u8| {
            text.replace(&format!("127.{region}.0.0/16"), &format!("127.{}.0.0/16", first + region))
        });
        let text = text.replace("127.0.0.1:", &format!("127.{first}.0.1:"));
        let text = change(text);
        std::fs::write(folder.join("regions.yaml"), &text).context("write regions.yaml")?;
        let spec = Spec::parse(&text)
            .map_err(|findings| anyhow::anyhow!("read regions.yaml: {findings:?}"))?;
        let http = HttpClient::default();
        let platform = Self { folder, environment, spec, http, _reserved: reserved };
        platform.start()?;
        Ok(platform)
    }

    /// Starts the platform, with the data it left the last time.
    pub fn start(&self) -> anyhow::Result<()> {
        let spec = self.folder.join("regions.yaml");
        self.run("platform", &["up", "--detach", "--spec", &spec.to_string_lossy()])
            .and_then(successful)
            .map(|_| ())
    }

    /// Stops it; its data stay.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.run("platform", &["down"]).and_then(successful).map(|_| ())
    }

    /// Runs one of the programs against this platform.
    pub fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        Command::new(programs()?.join(program))
            .args(arguments)
            .env("BULKHEAD_RUN_DIR", self.run_dir())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .with_context(|| format!("run {program}"))
    }

    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn edge(&self) -> SocketAddr {
        self.spec.edge.listen
    }

    /// Returns a token of the development issuer.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let output = successful(self.run("platform", &["token", user])?)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Signs claims of one's own with the development issuer's key.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let key = std::fs::read_to_string(self.run_dir().join("secrets/identity.key"))
            .context("read the development issuer's key")?;
        let key = EncodingKey::from_secret(key.trim().as_bytes());
        jsonwebtoken::encode(&Header::default(), claims, &key).context("sign a token")
    }

    /// Asks a control plane, and returns its answer.
    pub async fn control_plane(&self, region: &RegionId, path: &str) -> anyhow::Result<Value> {
        let answer = self.ask_control_plane(region, path, None).await?;
        ensure!(answer.status.is_success(), "ask for {path}: {answer:?}");
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Gives a control plane an order, and returns its status and what it says.
    pub async fn order(
        &self,
        region: &RegionId,
        path: &str,
        order: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let answer = self.ask_control_plane(region, path, Some(order)).await?;
        Ok((answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    async fn ask_control_plane(
        &self,
        region: &RegionId,
        path: &str,
        order: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let address = self
            .spec
            .region_address(region, Port::ControlPlane)
            .context("find the control plane's address")?;
        let token = std::fs::read_to_string(self.run_dir().join("secrets/control-plane.token"))
            .context("read the control plane's token")?;
        let mut headers = http::HeaderMap::new();
        let bearer = format!("Bearer {}", token.trim()).parse().context("write the token")?;
        headers.insert(http::header::AUTHORIZATION, bearer);
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(http::header::CONTENT_TYPE, json);
        let url = format!("http://{address}{path}");
        let (method, body, limit) = match order {
            Some(order) => (http::Method::POST, serde_json::to_vec(order)?.into(), ORDER),
            None => (http::Method::GET, bytes::Bytes::new(), ASK),
        };
        let answer = self.http.call(method, &url, headers, body, limit).await;
        answer.with_context(|| format!("ask {url}"))
    }

    /// Returns where a user's cell is active, as the first reachable control plane sees it.
    pub async fn home_of(&self, user: &str) -> anyhow::Result<(String, RegionId)> {
        let cell = self.cell_of(user).await?;
        let active = cell["active"].as_str().context("find the active region")?.parse()?;
        Ok((cell["id"].as_str().unwrap_or_default().to_owned(), active))
    }

    /// Returns a user's cell as the control plane shows it.
    pub async fn cell_of(&self, user: &str) -> anyhow::Result<Value> {
        let weights = self.spec.weights();
        let placement = topology::Placement::plan(&weights, topology::Version(0));
        self.cell(placement.cell_of(Slot::of(user)).as_str()).await
    }

    /// Returns a cell as the first control plane that answers shows it.
    pub async fn cell(&self, cell: &str) -> anyhow::Result<Value> {
        for region in &self.spec.regions {
            if let Ok(seen) = self.control_plane(&region.id, &format!("/v1/cells/{cell}")).await {
                return Ok(seen);
            }
        }
        bail!("ask any control plane about cell {cell}")
    }

    /// Waits until a cell is as it should be, and returns it.
    pub async fn until(
        &self,
        cell: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + UNTIL;
        loop {
            let seen = self.cell(cell).await;
            match &seen {
                Ok(seen) if is_so(seen) => return Ok(seen.clone()),
                Ok(_) | Err(_) => {}
            }
            ensure!(Instant::now() < deadline, "see {cell} {what}: {seen:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a cell is served in a region.
    pub async fn until_active_in(&self, cell: &str, region: &str) -> anyhow::Result<Value> {
        let is_so = |seen: &Value| seen["phase"] == "steady" && seen["active"] == region;
        self.until(cell, &format!("active in {region}"), is_so).await
    }

    /// Waits until a cell is served elsewhere than in a region.
    pub async fn until_active_outside(&self, cell: &str, region: &str) -> anyhow::Result<Value> {
        let is_so = |seen: &Value| seen["phase"] == "steady" && seen["active"] != region;
        self.until(cell, &format!("active outside {region}"), is_so).await
    }

    /// Waits until every other site of a cell follows its active one, and votes.
    pub async fn until_redundant(&self, cell: &str) -> anyhow::Result<Value> {
        self.until(cell, "redundant", |seen| seen["redundant"] == true).await
    }
}

impl Drop for Platform {
    #[expect(clippy::print_stderr, reason = "a test's words, next to its failure")]
    fn drop(&mut self) {
        let stopped = self.stop();
        // A test that returns an error does not panic: whoever looks for its cause asks for the logs.
        let asked = std::env::var_os("BULKHEAD_KEEP_LOGS").is_some();
        if std::thread::panicking() || stopped.is_err() || asked {
            eprintln!("the platform's logs are in {}", self.run_dir().join("logs").display());
        } else if let Err(err) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("{} was not removed: {err}", self.folder.display());
        }
    }
}

/// The folder with the programs: beside the one with this test.
fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this test")?;
    let folder = own.parent().and_then(Path::parent).context("find the programs")?;
    ensure!(
        folder.join("platform").exists(),
        "find the programs in {}; build them first: cargo build --workspace --bins",
        folder.display()
    );
    Ok(folder.to_owned())
}

pub(crate) fn successful(output: Output) -> anyhow::Result<Output> {
    ensure!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

fn free_networks() -> anyhow::Result<(u8, TcpListener)> {
    let start = u8::try_from(std::process::id() % 80).unwrap_or_default();
    let all = (0..80).map(|turn| NETWORKS.start + (start + turn) % 80);
    // Four in a row, on a fixed grid, so that two platforms never overlap.
    let mut free = all.filter(|first| first % 4 == 0).filter_map(|first| {
        let reserved = TcpListener::bind((std::net::Ipv4Addr::new(127, first, 0, 9), RESERVED));
        Some((first, reserved.ok()?))
    });
    free.next().context("find four free networks in 127.20.0.0 to 127.99.0.0")
}
