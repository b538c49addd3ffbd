use std::path::Path;
use std::time::Duration;

use runtime::Tasks;
use serde_json::json;
use topology::snapshot::RoutedCell;
use topology::wire::generation::GenerationRecord;
use topology::wire::key;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn etcd_that_went_back_is_followed_and_no_epoch_goes_back() {
    let platform = Platform::prepare();
    let etcd = platform.etcd();
    let mut tasks = Tasks::default();
    for agent in &platform.agents {
        let (spec, client) = (std::sync::Arc::clone(&platform.spec), platform.client.clone());
        tasks.start(&agent.id.to_string(), |stop| agent.clone().run(spec, client, stop));
    }
    platform.control_plane(&mut tasks, "north");
    let test = async {
        platform.until_known("north").await;
        etcd.kill().await;
        let (now, copy) = (platform.etcd_folder(), platform.etcd_folder().with_extension("copy"));
        copy_folder(&now, &copy);
        let etcd = platform.etcd();
        let moved = platform
            .until(async || platform.switchover("north", r#"{"to": "south"}"#).await.0 == 200);
        assert!(moved.await, "the cell does not move");
        let before = platform.get("north", "/v1/snapshot").await.unwrap()["version"].as_u64();
        let epoch = platform.cell().await.unwrap().activation.epoch;

        // Nobody serves any more, so that no site writes its record anew; and there are too few voters
        // for a control plane to.
        for region in ["south", "east"] {
            platform.agent(region).told(|agent| agent.dead = true);
        }
        etcd.kill().await;
        std::fs::remove_dir_all(&now).unwrap();
        copy_folder(&copy, &now);
        let etcd = platform.etcd();
        let outdated = platform.until(async || {
            let (status, problem) = platform.failover("north", "{}").await;
            (status, &problem["code"]) == (409, &json!("outdated"))
        });
        assert!(outdated.await, "an older record is decided by");
        platform.agent("east").told(|east| east.dead = false);
        let anew = platform.until(async || {
            platform.cell().await.is_some_and(|cell| cell.activation.epoch > epoch)
        });
        assert!(anew.await, "nobody writes a later epoch");
        let stored = platform.client.read(&[key::GENERATION]).await.unwrap();
        let generation: GenerationRecord = serde_json::from_slice(&stored[0].value).unwrap();
        assert_eq!(generation.number, 1);
        // Readings are taken again: what was written after the restore is told, as something newer.
        let told = platform.until(async || {
            let snapshot = platform.get("north", "/v1/snapshot").await.unwrap();
            snapshot["version"].as_u64() > before
                && snapshot["cells"]["c1"]["epoch"].as_u64() > Some(epoch.0)
        });
        assert!(told.await, "the control plane does not follow");
        let serving = platform.until(async || {
            let cell: Option<RoutedCell> = platform.cell().await;
            cell.is_some_and(|cell| cell.activation.serving().is_some())
        });
        assert!(serving.await, "nobody serves");
        etcd.kill().await;
    };
    Box::pin(tasks.run(test, Duration::from_secs(5))).await.unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
