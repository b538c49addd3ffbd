//! With etcd and the control plane entirely gone, users that were served go on being served (I6).

use std::time::Duration;

use serde_json::json;
use tests::json::text;
use tests::{Platform, User};
use topology::wire::fleet::FleetRole;

/// Rounds of one write per user and a pause: half a minute in all, well beyond every lease and promise.
const ROUNDS: usize = 25;
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn chats_and_tickets_go_on_for_half_a_minute_without_etcd_and_control_plane()
-> anyhow::Result<()> {
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

/// Without etcd a voter may come and go; the cells of a region that is lost wait, say so, and come
/// back by themselves when etcd does. No epoch is used twice.
#[tokio::test]
async fn without_etcd_a_voter_may_return_and_a_lost_region_waits_for_it() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    let cell = platform.cell_of("ada").await?;
    let (id, region) = (text(&cell["id"]), text(&cell["active"]));
    let voter = text(&cell["voters"][0]);
    let mut epochs = Vec::new();
    for cell in &platform.spec.cells {
        epochs.push((cell.id.to_string(), platform.epochs(cell.id.as_str()).await?));
    }

    let mut etcd = platform.kill_and_hold(&[FleetRole::Etcd])?;
    let gone = platform.kill_and_hold_site(&id, &voter)?;
    // Longer than any lease or promise lasts.
    let round = |number: u32| format!("round {number}");
    for number in 0..5 {
        // One voter's promise is enough.
        user.opens_ticket(&round(number)).await?;
        tokio::time::sleep(PAUSE).await;
    }
    platform.release(&gone)?;
    for number in 5..10 {
        user.opens_ticket(&round(number)).await?;
        tokio::time::sleep(PAUSE).await;
    }

    let lost = platform.kill_and_hold_region(&region)?;
    let ticket = |subject: &str| json!({ "subject": subject, "description": "…" });
    let mut refused = user.post("/v1/tickets", &ticket("on its way")).await?;
    if refused.code() == "outcome-unknown" {
        // It had reached a site that died with it.
        refused = user.post("/v1/tickets", &ticket("nobody")).await?;
    }
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "hold-timeout"), "{refused:?}");
    for cell in platform.spec.cells.iter().filter(|cell| cell.id.as_str() != id) {
        User::in_cell(&platform, &cell.id)?.opens_ticket("its active site is there").await?;
    }

    etcd.retain(|member| member.region.as_deref() != Some(region.as_str()));
    platform.release(&etcd)?;
    platform.until_active_outside(&id, &region).await?;
    let mut tickets = user.tickets().await?;
    tickets.retain(|subject| subject != "on its way");
    assert_eq!(tickets, (0..10).map(round).collect::<Vec<_>>());
    platform.release(&lost)?;
    for (cell, before) in &epochs {
        platform.until_redundant(cell).await?;
        platform.assert_epochs_only_grew(cell, before).await?;
    }
    Ok(())
}

/// An etcd that is put back as it was earlier knows an epoch that is over: it learns the truth from
/// whoever serves, epochs only grow, and nobody who is served notices.
#[tokio::test]
async fn an_etcd_restored_from_an_older_copy_is_told_the_truth() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "grace")?;
    let (folder, copy) = (platform.run_dir().join("etcd"), platform.folder().join("etcd.copy"));

    let etcd = platform.kill_and_hold(&[FleetRole::Etcd])?;
    copy_folder(&folder, &copy)?;
    platform.release(&etcd)?;
    let cell = platform.until_redundant("c1").await?;
    let to = text(&cell["voters"][0]);
    let (region, body) = (to.parse()?, json!({ "to": to }));
    let (status, moved) = platform.order(&region, "/v1/cells/c1/switchover", &body).await?;
    assert_eq!(status, 200, "{moved:#}");
    let mut before = Vec::new();
    for cell in ["c1", "c2", "c3"] {
        before.push(platform.until_redundant(cell).await?);
    }

    let etcd = platform.kill_and_hold(&[FleetRole::Etcd])?;
    std::fs::remove_dir_all(&folder)?;
    copy_folder(&copy, &folder)?;
    platform.release(&etcd)?;
    for (cell, before) in ["c1", "c2", "c3"].into_iter().zip(before) {
        let after = platform.until_redundant(cell).await?;
        assert!(after["epoch"].as_u64() >= before["epoch"].as_u64(), "{before:#} {after:#}");
        assert_eq!(after["active"], before["active"], "{before:#} {after:#}");
    }
    let made = user.post("/v1/tickets", &json!({ "subject": "after", "description": "…" })).await?;
    assert_eq!(made.status, 201, "{made:?}");
    Ok(())
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> anyhow::Result<()> {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status()?;
    anyhow::ensure!(copied.success(), "copy {}", from.display());
    Ok(())
}
