use runtime::Tasks;
use serde_json::json;

use crate::platform::{LIMIT, Platform};

#[tokio::test(flavor = "multi_thread")]
async fn what_another_vantage_sees_is_heard_while_etcd_is_gone() {
    let platform = Platform::prepare();
    let mut tasks = Tasks::default();
    let etcd = platform.etcd();
    platform.agents(&mut tasks);
    platform.control_plane(&mut tasks, "north");
    platform.control_plane(&mut tasks, "south");
    let test = async {
        platform.until_known("north").await;
        platform.until_known("south").await;
        assert!(both_see(&platform, "healthy").await, "the site is not seen to be well");
        etcd.kill().await;
        platform.agent("east").told(|east| east.dead = true);
        assert!(both_see(&platform, "unreachable").await, "south was not heard in north");
    };
    Box::pin(tasks.run(test, LIMIT)).await.unwrap();
}

/// Waits until north knows that both of them see the site so.
async fn both_see(platform: &Platform, health: &str) -> bool {
    let seen = platform.until(async || {
        let matrix = platform.get("north", "/v1/vantages").await.unwrap();
        let rows = matrix["data"].as_array().unwrap();
        let rows = rows
            .iter()
            .map(|row| json!([row["id"], row["fresh"], row["sites"]["c1@east"]["health"]]));
        rows.eq([json!(["north", true, health]), json!(["south", true, health])])
    });
    seen.await
}
