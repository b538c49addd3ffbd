//! A change is read from the member that told of it, as long as that one knows enough.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use client::etcd::Heard;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::etcd::{Etcd, free_addresses, remove};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_read_where_it_was_heard_of_and_nothing_else_is() {
    let mut pair = Pair::start("heard").await;
    let (etcd, heard, wake) = (&pair.client, Arc::new(Heard::default()), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let watching = tokio::spawn({
        let (etcd, heard, wake) = (etcd.clone(), Arc::clone(&heard), Arc::clone(&wake));
        let stop = stop.clone();
        async move { etcd.hint(&["/log/"], &heard, &wake, &stop).await }
    });
    // Whether the watch has begun is seen by its first event.
    let written = async {
        loop {
            etcd.put("/log/1", "first").await.unwrap();
            // A watch that could not be opened wakes, too.
            drop(timeout(Duration::from_millis(100), wake.notified()).await);
            if heard.is_unread() {
                return;
            }
        }
    };
    timeout(LIMIT, written).await.expect("a watch begins");

    // Nobody can be asked for a majority from here on.
    pair.second.kill().await.unwrap();
    let found = etcd.read_heard(&heard, &["/log/"]).await.unwrap();
    assert_eq!(found.len(), 1);
    // Of another write the event may have come late.
    let heard_no_more = async { while etcd.read_heard(&heard, &["/log/"]).await.is_ok() {} };
    timeout(LIMIT, heard_no_more).await.expect("what was heard is read once");
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_back_to_the_nearest_member_once_that_answers() {
    // Two that know nothing of each other, so that it shows which of them is watched.
    let (mut near, far) = tokio::join!(Etcd::start("near"), Etcd::start("far"));
    near.stop().await;
    let etcd = near.handle_before(&far);
    let (heard, wake) = (Arc::new(Heard::default()), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let watching = tokio::spawn({
        let (etcd, heard, wake) = (etcd.clone(), Arc::clone(&heard), Arc::clone(&wake));
        let stop = stop.clone();
        async move { etcd.hint(&["/log/"], &heard, &wake, &stop).await }
    });
    let told_by = async |member: &Etcd| {
        while !heard.is_unread() {
            member.client.put("/log/1", "again").await.unwrap();
            drop(timeout(Duration::from_millis(100), wake.notified()).await);
        }
    };
    timeout(LIMIT, told_by(&far))
        .await
        .expect("the other one is watched while the nearest is away");

    near.go_on().await;
    // The nearest has none of what the other one was told.
    let asked = async { while etcd.read(&["/log/"]).await.ok() != Some(Vec::new()) {} };
    timeout(LIMIT, asked).await.expect("the nearest is asked first");
    while heard.is_unread() {
        etcd.read_heard(&heard, &["/log/"]).await.unwrap();
    }
    timeout(LIMIT, told_by(&near)).await.expect("the nearest is watched again");
    stop.cancel();
    watching.await.unwrap();
}

/// Two members, so that one alone is no majority. The handle knows the first.
pub(crate) struct Pair {
    client: client::Etcd,
    endpoints: [String; 2],
    second: Child,
    _first: Child,
    folder: std::path::PathBuf,
}

impl Pair {
    pub(crate) async fn start(name: &str) -> Self {
        let folder = format!("bulkhead-pair-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        remove(&folder);
        let addresses = [free_addresses(), free_addresses()]
            .map(|addresses| addresses.map(|address| format!("http://{address}")));
        let cluster = format!("0={},1={}", addresses[0][1], addresses[1][1]);
        let [first, second] = [0, 1].map(|number| {
            let [client, peer] = &addresses[number];
            Command::new("etcd")
                .args(["--name", &number.to_string(), "--log-level", "error", "--logger", "zap"])
                .arg("--data-dir")
                .arg(folder.join(number.to_string()))
                .args(["--listen-client-urls", client, "--advertise-client-urls", client])
                .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
                .args(["--initial-cluster", &cluster])
                // Without a leader for so long, a member tells nothing more.
                .args(["--heartbeat-interval", "100", "--election-timeout", "5000"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("etcd is installed")
        });
        let client = client::Etcd::connect(vec![addresses[0][0].clone()]);
        let answers = async { while client.read(&["/probe"]).await.is_err() {} };
        timeout(LIMIT, answers).await.expect("etcd answers");
        let endpoints = addresses.map(|[client, _]| client);
        Self { client, endpoints, second, _first: first, folder }
    }

    /// Returns a handle on both members.
    pub(crate) fn both(&self) -> client::Etcd {
        client::Etcd::connect(self.endpoints.to_vec())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A failed test may still have etcd writing there; the next one starts from nothing anyway.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
