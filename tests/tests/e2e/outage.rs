//! With etcd and the control plane entirely gone, users that were served go on being served (I6).

use std::time::Duration;

use serde_json::json;
use tests::{Platform, User};
use topology::wire::fleet::FleetRole;

/// Rounds of one write per user and a pause: a minute in all, well beyond every lease and promise.
const ROUNDS: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn chats_and_tickets_go_on_for_a_minute_without_etcd_and_control_plane() -> anyhow::Result<()>
{
    let platform = Platform::up()?;
    let names = ["ada", "grace", "edsger", "barbara", "donald", "leslie"];
    let mut users = Vec::new();
    for name in names {
        let user = User::of(&platform, name)?;
        let made = user.post("/v1/conversations", &json!({})).await?;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["id"].as_str().unwrap_or_default().to_owned();
        users.push((user, id, platform.cell_of(name).await?["epoch"].clone()));
    }

    let held = platform.kill_and_hold(&[FleetRole::Etcd, FleetRole::ControlPlane])?;
    for round in 0..ROUNDS {
        for (user, conversation, _) in &users {
            let path = format!("/v1/conversations/{conversation}/messages");
            let said = user.post(&path, &json!({ "text": "where is my parcel" })).await?;
            assert_eq!(said.status, 201, "round {round}: {said:?}");
            let ticket = json!({ "subject": format!("round {round}"), "description": "…" });
            let made = user.post("/v1/tickets", &ticket).await?;
            assert_eq!(made.status, 201, "round {round}: {made:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }

    platform.release(&held)?;
    for ((_, _, epoch), name) in users.iter().zip(names) {
        let cell = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                match platform.cell_of(name).await {
                    Ok(cell) => return cell,
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        });
        assert_eq!(cell.await?["epoch"], *epoch, "nothing was promoted meanwhile");
    }
    Ok(())
}
