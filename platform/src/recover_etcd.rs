//! `platform recover-etcd`: goes on with one member of etcd, when the others are lost for good.
//!
//! ```text
//!  two regions lost ──▶ recover-etcd --region R ──▶ one member, which takes writes
//!  a region is back ──▶ recover-etcd --rejoin Q ──▶ one member more, with an empty folder
//! ```
//!
//! A member without a majority takes no writes: rightly, because it cannot know whether the others
//! have gone on without it. Only a person knows that they have not. From then on the others must
//! never come back with what they have: two of them would be a majority of the cluster that was. So
//! they are held back until they rejoin as new members.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use etcd_client::{Client, ConnectOptions, Member};
use runtime::HttpClient;
use runtime::clock::{self, BootTime};
use rustix::process::Signal;
use serde_json::Value;
use topology::address::Port;
use topology::wire::fleet::Hold;
use topology::{RegionId, Spec};

use crate::app::Outcome;
use crate::cli::RecoverArgs;
use crate::decide::plan::{Planned, plan};
use crate::launch::Start;
use crate::machine::{Process, signal};
use crate::run_dir::RunDir;
use crate::wan::inits::Inits;
use crate::wan::namespaces::Namespaces;
use crate::{disk, preflight, terminal};

/// How long a member may take to answer as it should: it replays its log first.
const ANSWERS: Duration = Duration::from_secs(30);
/// On one machine an answer takes milliseconds; a member without a leader takes its time to say so.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a member may take to stop. Its log is on disk: it may be killed.
const STOPS: Duration = Duration::from_secs(2);
/// How long the supervisor leaves the member alone, should this process die meanwhile.
const HELD: Duration = Duration::from_mins(2);
/// Pause before a member is added again.
const ADD_AGAIN: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(50);
const REASON: &str = "recover-etcd";

pub(crate) async fn recover_etcd(args: RecoverArgs) -> anyhow::Result<Outcome> {
    let run_dir = RunDir::find(args.place.run_dir)?;
    let spec = disk::applied_spec(&run_dir)?
        .with_context(|| format!("find a platform in {}", run_dir.path().display()))?;
    let recovery = Recovery { spec, run_dir, http: HttpClient::default() };
    match (args.region, args.rejoin) {
        (Some(region), None) => recovery.alone(&region, args.yes).await,
        (None, Some(region)) => recovery.rejoin(&region).await,
        (Some(_), Some(_)) | (None, None) => bail!("say either --region or --rejoin"),
    }
}

struct Recovery {
    spec: Spec,
    run_dir: RunDir,
    http: HttpClient,
}

impl Recovery {
    /// Makes the member of `region` a cluster of its own.
    async fn alone(&self, region: &RegionId, yes: bool) -> anyhow::Result<Outcome> {
        let planned = self.planned(region)?;
        let others = self.others(region);
        for other in &others {
            ensure!(
                !self.is_there(other).await,
                "go on with etcd@{region} alone: etcd@{other} answers; if it is to be lost, stop \
                 it for good first"
            );
        }
        let names: Vec<String> = others.iter().map(|other| format!("etcd@{other}")).collect();
        let names = names.join(" and ");
        if !yes {
            terminal::note(&format!(
                "etcd@{region} would go on as the only member of its cluster, with what it has: \
                 what only {names} had is gone.\n{names} do not answer, and would be held back: \
                 with what they have they must never run again. Make sure of that where they are \
                 not on this machine.\nNothing was changed; do it with --yes."
            ));
            return Ok(Outcome::Findings);
        }
        for other in &others {
            self.hold(&member(other), u64::MAX)?;
        }
        self.hold(&planned.name, (BootTime::now() + HELD).as_nanos())?;
        self.stop(&planned.name).await?;
        let mut once = planned.clone();
        once.arguments.push("--force-new-cluster".to_owned());
        let started = self.run_once(&once, region).await;
        self.lift(&planned.name)?;
        started?;
        self.until_supervised(region).await?;
        terminal::note(&format!(
            "etcd@{region} is a cluster of its own, and takes writes. What follows:\n\
             - cells whose active site is lost: POST /v1/cells/ID/failover with accept_data_loss\n\
             - each region that comes back: platform recover-etcd --rejoin REGION"
        ));
        Ok(Outcome::Done)
    }

    /// Adds the member of `region` to the cluster that went on without it, with an empty folder.
    async fn rejoin(&self, region: &RegionId) -> anyhow::Result<Outcome> {
        let planned = self.planned(region)?;
        ensure!(!self.is_there(region).await, "let etcd@{region} rejoin: it runs");
        let mut client = self.cluster_without(region).await?;
        self.hold(&planned.name, u64::MAX)?;
        let own = format!("http://{}", self.address(region, Port::EtcdPeer)?);
        let members = client.member_list().await.context("list the members of etcd")?;
        let known = members.members().iter().find(|member| member.peer_urls().contains(&own));
        match known.map(Member::name) {
            // It joined before, and something came in between.
            Some(name) if !name.is_empty() => {}
            Some(_) => self.put_aside(region)?,
            None => {
                add(&mut client, &own).await?;
                self.put_aside(region)?;
            }
        }
        let mut cluster: Vec<String> = members
            .members()
            .iter()
            .filter(|member| !member.peer_urls().contains(&own))
            .flat_map(|member| {
                member.peer_urls().iter().map(|url| format!("{}={url}", member.name()))
            })
            .collect();
        cluster.push(format!("{region}={own}"));
        let mut once = planned.clone();
        // Of two flags of one name etcd takes the last.
        once.arguments.push(format!("--initial-cluster={}", cluster.join(",")));
        once.arguments.push("--initial-cluster-state=existing".to_owned());
        self.run_once(&once, region).await.with_context(|| {
            format!("let etcd@{region} join; run this again, the cluster waits for it")
        })?;
        self.lift(&planned.name)?;
        self.until_supervised(region).await?;
        terminal::note(&format!("etcd@{region} is a member again: {}", cluster.join(", ")));
        Ok(Outcome::Done)
    }

    /// Starts a member, waits until it answers with a leader, and stops it.
    async fn run_once(&self, planned: &Planned, region: &RegionId) -> anyhow::Result<()> {
        let programs = preflight::programs().map_err(|problems| {
            anyhow::anyhow!("find what to start:\n  {}", problems.join("\n  "))
        })?;
        let fleet = self.run_dir.supervisor()?.and(disk::fleet(&self.run_dir)?);
        let namespaces = fleet.as_ref().map(Namespaces::of).transpose()?.unwrap_or_default();
        // Its end is waited for here: it lives in the region's network, and among this machine's processes.
        let inits = Inits::default();
        let run_dir = self.run_dir.clone();
        let start = Start { run_dir, programs, namespaces, inits, clocks: None };
        let mut child = start.start(planned, &[])?;
        let healthy = self.until_healthy(region, Some(&mut child)).await;
        stop_child(&mut child).await?;
        healthy
    }

    /// Waits until the supervisor has started the member again; without one nothing runs here.
    async fn until_supervised(&self, region: &RegionId) -> anyhow::Result<()> {
        match self.run_dir.supervisor()? {
            Some(_) => self.until_healthy(region, None).await,
            None => Ok(()),
        }
    }

    async fn until_healthy(
        &self,
        region: &RegionId,
        mut child: Option<&mut Child>,
    ) -> anyhow::Result<()> {
        let url = format!("http://{}/health", self.address(region, Port::EtcdClient)?);
        let log = self.run_dir.log(&member(region));
        let until = BootTime::now() + ANSWERS;
        loop {
            let health = self.http.get::<Value>(&url, ANSWER).await;
            if health.is_ok_and(|said| said["health"] == "true") {
                return Ok(());
            }
            if let Some(child) = child.as_deref_mut()
                && let Some(status) = child.try_wait().context("wait for etcd")?
            {
                bail!("see etcd@{region} answer: it ended with {status}; see {}", log.display());
            }
            if BootTime::now() >= until {
                bail!("see etcd@{region} answer in time; see {}", log.display());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns whether a member answers at all, with a leader or without.
    async fn is_there(&self, region: &RegionId) -> bool {
        let Ok(address) = self.address(region, Port::EtcdClient) else { return false };
        self.http.get::<Value>(&format!("http://{address}/version"), ANSWER).await.is_ok()
    }

    /// Connects to a member other than the one of `region`.
    async fn cluster_without(&self, region: &RegionId) -> anyhow::Result<Client> {
        for other in self.others(region) {
            if self.is_there(&other).await {
                let url = format!("http://{}", self.address(&other, Port::EtcdClient)?);
                let options =
                    ConnectOptions::new().with_connect_timeout(ANSWER).with_timeout(ANSWERS);
                return Client::connect([&url], Some(options))
                    .await
                    .with_context(|| format!("connect to etcd@{other}"));
            }
        }
        bail!("find a member of etcd that answers; first recover one with --region")
    }

    /// Stops the supervisor's process of this name, which is held.
    async fn stop(&self, name: &str) -> anyhow::Result<()> {
        let fleet = disk::fleet(&self.run_dir)?;
        let running = fleet.iter().flat_map(|fleet| &fleet.processes);
        let found = running.filter(|process| process.name == name).find_map(|process| {
            Some(Process { pid: process.pid?, start_time: process.start_time? })
        });
        let Some(process) = found else { return Ok(()) };
        signal(process, Signal::TERM);
        if !gone(process).await {
            signal(process, Signal::KILL);
            ensure!(gone(process).await, "stop {name}, process {}", process.pid);
        }
        Ok(())
    }

    /// Keeps what a member had, where it cannot be taken for what it has.
    fn put_aside(&self, region: &RegionId) -> anyhow::Result<()> {
        let folder = self.run_dir.etcd(region.as_str());
        let aside = beside(&folder, &format!("lost-{}", clock::unix_millis()));
        match fs::rename(&folder, &aside) {
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(()),
            moved => moved.with_context(|| format!("move {} aside", folder.display()))?,
        }
        terminal::note(&format!("{} is now {}", folder.display(), aside.display()));
        Ok(())
    }

    fn hold(&self, process: &str, until: u64) -> anyhow::Result<()> {
        let path = self.run_dir.hold(process);
        let hold = Hold { until, reason: REASON.to_owned() };
        let text = serde_json::to_vec(&hold).context("write a hold")?;
        runtime::file::replace(&path, &text, 0o644)
            .with_context(|| format!("write {}", path.display()))
    }

    fn lift(&self, process: &str) -> anyhow::Result<()> {
        let path = self.run_dir.hold(process);
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }

    fn planned(&self, region: &RegionId) -> anyhow::Result<Planned> {
        let name = member(region);
        plan(&self.spec, &self.run_dir, None)
            .into_iter()
            .find(|planned| planned.name == name)
            .with_context(|| format!("find region {region} in {}", self.run_dir.spec().display()))
    }

    fn others(&self, region: &RegionId) -> Vec<RegionId> {
        let ids = self.spec.regions.iter().map(|listed| listed.id.clone());
        ids.filter(|id| id != region).collect()
    }

    fn address(&self, region: &RegionId, port: Port) -> anyhow::Result<SocketAddr> {
        let address = self.spec.region_address(region, port);
        address.with_context(|| format!("find the address of etcd@{region}"))
    }
}

/// Adds a member. etcd refuses while another has joined only just now.
async fn add(client: &mut Client, peer: &str) -> anyhow::Result<()> {
    let until = BootTime::now() + ANSWERS;
    loop {
        match client.member_add([peer], None).await {
            Ok(_) => return Ok(()),
            Err(err) if BootTime::now() >= until => {
                return Err(err).context("add the member to etcd");
            }
            Err(err) => tracing::debug!(error = %err, "member not added yet"),
        }
        tokio::time::sleep(ADD_AGAIN).await;
    }
}

fn member(region: &RegionId) -> String {
    format!("etcd@{region}")
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Returns whether a process has ended, after some patience.
async fn gone(process: Process) -> bool {
    let until = BootTime::now() + STOPS;
    while process.is_alive() && BootTime::now() < until {
        tokio::time::sleep(POLL).await;
    }
    !process.is_alive()
}

async fn stop_child(child: &mut Child) -> anyhow::Result<()> {
    if let Some(process) = Process::with_pid(child.id()) {
        signal(process, Signal::TERM);
        if !gone(process).await {
            signal(process, Signal::KILL);
            ensure!(gone(process).await, "stop etcd, process {}", process.pid);
        }
    }
    child.wait().context("wait for etcd").map(|_| ())
}
