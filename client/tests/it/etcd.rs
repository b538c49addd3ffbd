//! One member of etcd, for one test: it can be stopped, and its data folder copied and put back.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a member may take to answer on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Etcd {
    pub(crate) client: client::Etcd,
    pub(crate) folder: PathBuf,
    addresses: [SocketAddr; 2],
    child: Option<Child>,
}

impl Etcd {
    /// Starts a member with nothing in it.
    pub(crate) async fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
        remove(&folder);
        let addresses = free_addresses();
        let client = connect(addresses[0]);
        let mut etcd = Self { client, folder, addresses, child: None };
        etcd.go_on().await;
        etcd
    }

    /// Returns a handle of another process, which knows nothing of what this one wrote.
    pub(crate) fn handle(&self) -> client::Etcd {
        connect(self.addresses[0])
    }

    /// Returns a handle on both members, of which this one is the nearest.
    pub(crate) fn handle_before(&self, other: &Self) -> client::Etcd {
        client::Etcd::connect(
            [self, other].map(|etcd| format!("http://{}", etcd.addresses[0])).into(),
        )
    }

    /// Starts the member on the data it has, and waits until it answers.
    pub(crate) async fn go_on(&mut self) {
        let [client, peer] = self.addresses.map(|address| format!("http://{address}"));
        let child = Command::new("etcd")
            .args(["--name", "only", "--log-level", "error", "--logger", "zap"])
            .arg("--data-dir")
            .arg(self.folder.join("now"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("only={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("etcd is installed");
        self.child = Some(child);
        let answers = async { while self.client.read(&["/probe"]).await.is_err() {} };
        timeout(LIMIT, answers).await.expect("etcd answers");
    }

    pub(crate) async fn stop(&mut self) {
        self.child.take().expect("etcd runs").kill().await.unwrap();
    }

    /// Keeps a copy of everything, of a member that does not run.
    pub(crate) fn copy(&self) {
        copy(&self.folder.join("now"), &self.folder.join("copy"));
    }

    /// Puts the copy back in the place of what there is.
    pub(crate) fn put_back(&self) {
        remove(&self.folder.join("now"));
        copy(&self.folder.join("copy"), &self.folder.join("now"));
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // A failed test may still have etcd writing there; the next one starts from nothing anyway.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn connect(address: SocketAddr) -> client::Etcd {
    client::Etcd::connect(vec![format!("http://{address}")])
}

pub(crate) fn remove(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Asks the kernel for addresses that nobody uses.
pub(crate) fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
