//! One member of etcd, for one test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Killed when dropped.
pub(crate) struct Etcd(Child);

impl Etcd {
    pub(crate) fn start(client: SocketAddr, peer: SocketAddr, folder: &Path) -> Self {
        let url = |address: SocketAddr| format!("http://{address}");
        let child = Command::new("etcd")
            .args(["--name", "only", "--log-level", "error", "--logger", "zap"])
            .arg("--data-dir")
            .arg(folder)
            .args(["--listen-client-urls", &url(client)])
            .args(["--advertise-client-urls", &url(client)])
            .args(["--listen-peer-urls", &url(peer)])
            .args(["--initial-advertise-peer-urls", &url(peer)])
            .args(["--initial-cluster", &format!("only={}", url(peer))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("etcd is installed");
        Self(child)
    }

    pub(crate) async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }
}
