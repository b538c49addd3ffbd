use std::collections::BTreeMap;
use std::time::Duration;

use client::etcd::PutIf;
use client::follow::Follower;
use runtime::Tasks;
use tokio::time::timeout;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::generation::GenerationRecord;
use topology::wire::key;
use topology::wire::placement::PlacementRecord;
use topology::{Activation, CellId, Epoch, Phase, Placement, Version};

use crate::etcd::Etcd;

const REPORT: &str = "/bulkhead/v1/routers/1";
/// How long anything that is waited for may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_comes_back_lower_begins_the_next_generation_once() {
    let mut etcd = Etcd::start("generation").await;
    let other = etcd.handle();
    other.put(REPORT, "earlier").await.unwrap();
    write(&etcd, 3).await;
    let kept = stored(&etcd).await;
    etcd.stop().await;
    etcd.copy();
    etcd.go_on().await;
    write(&etcd, 20).await;
    let lost = stored(&etcd).await;
    assert!(lost.revision > kept.revision && lost.version > kept.version);
    assert_eq!(etcd.client.generation(), 0);

    etcd.stop().await;
    etcd.put_back();
    etcd.go_on().await;
    // Reading alone proves nothing: it may be a stale member that answers.
    assert!(stored(&etcd).await.version < lost.version);
    assert_eq!(generation(&etcd).await, None);

    write(&etcd, 1).await;
    let floor = lost.revision;
    assert_eq!(generation(&etcd).await, Some(GenerationRecord { number: 1, floor }));
    let now = stored(&etcd).await;
    assert!(now.revision < lost.revision, "{now:?}");
    assert!(now.version > lost.version, "{now:?}");
    // Compare-and-swap goes on with what etcd counts.
    let put = etcd.client.put_if(REPORT, b"swapped", &[(REPORT, now.revision)]).await.unwrap();
    assert!(matches!(put, PutIf::Done { revision } if revision > now.revision), "{put:?}");

    // Whoever writes next finds it begun, and begins no other.
    other.put(REPORT, "later").await.unwrap();
    assert_eq!((generation(&etcd).await.unwrap().number, other.generation()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_may_go_back_more_than_once() {
    let mut etcd = Etcd::start("twice").await;
    write(&etcd, 3).await;
    etcd.stop().await;
    etcd.copy();
    for number in 1..=2 {
        etcd.go_on().await;
        write(&etcd, 10).await;
        let before = stored(&etcd).await;
        etcd.stop().await;
        etcd.put_back();
        etcd.go_on().await;
        write(&etcd, 1).await;
        assert_eq!(generation(&etcd).await.unwrap().number, number);
        assert!(stored(&etcd).await.version > before.version);
        etcd.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_under_the_next_generation_and_no_epoch_goes_back() {
    let mut etcd = Etcd::start("follower").await;
    write_placement(&etcd).await;
    write_cell(&etcd, 5).await;
    etcd.stop().await;
    etcd.copy();
    etcd.go_on().await;
    write(&etcd, 20).await;
    write_cell(&etcd, 7).await;

    let folder = etcd.folder.join("snapshots");
    let follower = Follower::open(etcd.client.clone(), folder).unwrap();
    let mut latest = follower.latest();
    let mut tasks = Tasks::default();
    tasks.start("follow the snapshot", |stop| follower.run(stop));
    let test = async {
        let mut until = async |epoch: u64| -> Version {
            let reached = latest.wait_for(|followed| {
                followed.as_ref().is_some_and(|followed| {
                    let cell: CellId = "c1".parse().unwrap();
                    let found = followed.snapshot.cells[&cell].activation.epoch;
                    assert!(found >= Epoch(7), "epoch {found} after epoch 7");
                    found == Epoch(epoch)
                })
            });
            let reached = timeout(LIMIT, reached).await.expect("the epoch is followed").unwrap();
            reached.as_ref().unwrap().snapshot.version
        };
        let before = until(7).await;

        etcd.stop().await;
        etcd.put_back();
        etcd.go_on().await;
        // Epoch 5 is what etcd says now, under revisions that have been used before.
        write(&etcd, 1).await;
        assert_eq!(generation(&etcd).await.unwrap().number, 1);
        write_cell(&etcd, 8).await;
        let after = until(8).await;
        assert!(after > before, "version {after} after {before}");
        assert!(after.revision() < before.revision(), "etcd did not go back");
    };
    Box::pin(tasks.run(test, LIMIT)).await.unwrap();
}

async fn write(etcd: &Etcd, times: usize) {
    for time in 0..times {
        etcd.client.put(REPORT, time.to_string()).await.unwrap();
    }
}

async fn stored(etcd: &Etcd) -> client::etcd::Stored {
    etcd.client.read(&[REPORT]).await.unwrap().remove(0)
}

async fn generation(etcd: &Etcd) -> Option<GenerationRecord> {
    let stored = etcd.client.read(&[key::GENERATION]).await.unwrap();
    stored.first().map(|stored| serde_json::from_slice(&stored.value).unwrap())
}

async fn write_placement(etcd: &Etcd) {
    let placement = Placement::plan(&[("c1".parse().unwrap(), 1)].into(), Version::default());
    let value = serde_json::to_vec(&PlacementRecord::from(&placement)).unwrap();
    etcd.client.put(key::PLACEMENT, value).await.unwrap();
}

async fn write_cell(etcd: &Etcd, epoch: u64) {
    let activation = Activation {
        epoch: Epoch(epoch),
        phase: Phase::Steady { active: "east".parse().unwrap() },
        voters: ["north".parse().unwrap()].into(),
        retired: [].into(),
        acks: 1,
        system: Some(1),
        elected_at: None,
        cause: None,
        reason: String::new(),
    };
    let gateways = BTreeMap::from([("east".parse().unwrap(), "127.1.1.1:8000".parse().unwrap())]);
    let value =
        serde_json::to_vec(&CellRecord::from(&RoutedCell { activation, gateways })).unwrap();
    etcd.client.put(&key::cell(&"c1".parse().unwrap()), value).await.unwrap();
}
