//! An etcd and the routers, as processes that are started, replaced and ended.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{PATIENCE, World};

impl World {
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

pub(super) fn kill(process: &mut Child) {
    // Fails for a process that has ended already, which is as good.
    if process.kill().is_ok() {
        process.wait().unwrap();
    }
}

pub(super) fn etcd(network: u8, folder: &Path) -> Child {
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

pub(super) fn router(number: u16, folder: &Path, more: &[&str]) -> Child {
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
pub(super) fn spec(network: u8, edge: &str) -> String {
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
