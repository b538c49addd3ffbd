//! What nobody may decide by itself: a cell that has lost its home and a voter.

use serde_json::{Value, json};
use tests::{Platform, User};

#[tokio::test]
async fn home_and_a_voter_lost_waits_for_a_person_who_accepts_it() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    let cell = platform.cell_of("ada").await?;
    let id = text(&cell["id"]);
    let (home, voter, last) =
        (text(&cell["active"]), text(&cell["voters"][0]), text(&cell["voters"][1]));
    let ticket = json!({ "subject": "before", "description": "…" });
    assert_eq!(user.post("/v1/tickets", &ticket).await?.status, 201);

    let held_voter = platform.kill_and_hold_site(&id, &voter)?;
    let held_home = platform.kill_and_hold_site(&id, &home)?;
    platform.until(&id, "frozen", |seen| !seen["frozen"].is_null()).await?;
    let read = user.get("/v1/tickets").await?;
    assert_eq!(read.status, 200, "what is left answers reads: {read:?}");
    assert!(!read.header("x-bulkhead-stale").is_empty(), "and says that they may be old: {read:?}");

    let region = last.parse()?;
    let path = format!("/v1/cells/{id}/failover");
    let (status, refused) = platform.order(&region, &path, &json!({ "to": last })).await?;
    assert_eq!((status, text(&refused["code"])), (409, "too-few-votes".to_owned()), "{refused:#}");
    let forced = json!({ "to": last, "accept_data_loss": true, "reason": "two sites are gone" });
    let (status, done) = platform.order(&region, &path, &forced).await?;
    assert_eq!(status, 200, "{done:#}");
    platform.until(&id, "active in the last region", |seen| is_steady_in(seen, &last)).await?;
    let chat = user.post("/v1/conversations", &json!({})).await?;
    assert_eq!(chat.status, 201, "weak writes go on: {chat:?}");
    let audit = platform.control_plane(&region, "/v1/audit").await?;
    let entry = &audit["data"][0];
    assert_eq!(
        (text(&entry["what"]), entry["body"]["reason"] == "two sites are gone"),
        ("failover".to_owned(), true),
        "{audit:#}"
    );

    platform.release(&held_voter)?;
    platform.release(&held_home)?;
    platform.until_redundant(&id).await?;
    let made = user.post("/v1/tickets", &ticket).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let told = platform.control_plane(&region, &format!("/v1/cells/{id}/lost-writes")).await?;
    assert_eq!(told["unreachable"], json!([]), "everybody has said what it lost: {told:#}");
    Ok(())
}

fn is_steady_in(cell: &Value, region: &str) -> bool {
    cell["phase"] == "steady" && cell["active"] == region
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
