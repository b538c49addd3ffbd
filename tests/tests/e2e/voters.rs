//! Standbys that are lost leave the set that counts, and come back into it.

use serde_json::{Value, json};
use tests::{Platform, User};

/// One standby lost, then the active site, then nothing but one site: each time as much goes on as
/// can without a promise that would not be kept.
#[tokio::test]
async fn a_second_loss_is_survived_and_the_last_site_says_what_it_cannot_do() -> anyhow::Result<()>
{
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    let cell = platform.cell_of("ada").await?;
    let id = cell["id"].as_str().unwrap_or_default().to_owned();
    let (active, standbys) = (text(&cell["active"]), texts(&cell["voters"]));
    let [first, last] = [standbys[0].as_str(), standbys[1].as_str()];
    ticket(&user, "with all").await?;

    let held_first = platform.kill_and_hold_site(&id, first)?;
    platform.until(&id, "without the lost voter", |seen| texts(&seen["voters"]) == [last]).await?;
    ticket(&user, "with one voter").await?;

    let held_active = platform.kill_and_hold_site(&id, &active)?;
    platform.until(&id, "active in the last region", |seen| is_steady_in(seen, last)).await?;
    let listed = user.get("/v1/tickets").await?;
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(2), "both are there: {listed:?}");
    let refused =
        user.post("/v1/tickets", &json!({ "subject": "alone", "description": "…" })).await?;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "at-risk"), "{refused:?}");
    let chat = user.post("/v1/conversations", &json!({})).await?;
    assert_eq!(chat.status, 201, "weak writes go on: {chat:?}");

    platform.release(&held_first)?;
    platform
        .until(&id, "with a voter again", |seen| {
            texts(&seen["voters"]).contains(&first.to_owned()) && seen["at_risk"] == false
        })
        .await?;
    ticket(&user, "with one voter again").await?;
    platform.release(&held_active)?;
    platform.until_redundant(&id).await?;
    ticket(&user, "with all again").await
}

async fn ticket(user: &User, subject: &str) -> anyhow::Result<()> {
    let made = user.post("/v1/tickets", &json!({ "subject": subject, "description": "…" })).await?;
    assert_eq!(made.status, 201, "{subject}: {made:?}");
    Ok(())
}

fn is_steady_in(cell: &Value, region: &str) -> bool {
    cell["phase"] == "steady" && cell["active"] == region
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
