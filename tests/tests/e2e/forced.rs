//! What nobody may decide by itself: a cell that has lost its home and a voter. And what it costs to
//! decide it.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tests::json::text;
use tests::{Platform, User};
use tokio::time::{Instant, sleep};
use topology::RegionId;
use topology::public_id::PublicId;

/// A lost site starts, sees that its stream does not come back, and looks.
const TOLD: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);

/// The last site lacks the last ticket: what is given up with the other two is that one, and the
/// platform says so.
#[tokio::test]
async fn home_and_a_voter_lost_waits_for_a_person_and_lists_what_was_given_up() -> anyhow::Result<()>
{
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    let cell = platform.cell_of("ada").await?;
    let id = text(&cell["id"]);
    let (home, voter, last) =
        (text(&cell["active"]), text(&cell["voters"][0]), text(&cell["voters"][1]));
    user.opens_ticket("kept").await?;
    let heard = format!(
        "SELECT replay_lsn >= pg_current_wal_lsn() FROM pg_stat_replication
         WHERE application_name ~ '^{id}_{last}_'"
    );
    platform.until_sql(&id, &home, &heard, "t").await?;

    let stalled = platform.stop_sending(&id, &home, &[&last])?;
    let given_up = user.opens_ticket("given up").await?;
    let held_voter = platform.kill_and_hold_site(&id, &voter)?;
    let held_home = platform.kill_and_hold_site(&id, &home)?;
    drop(stalled);
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
    platform.until_active_in(&id, &last).await?;
    let chat = user.post("/v1/conversations", &json!({})).await?;
    assert_eq!(chat.status, 201, "weak writes go on: {chat:?}");
    assert_eq!(user.tickets().await?, ["kept"]);
    let audit = platform.control_plane(&region, "/v1/audit").await?;
    let entry = &audit["data"][0];
    assert_eq!(
        (text(&entry["what"]), entry["body"]["reason"] == "two sites are gone"),
        ("failover".to_owned(), true),
        "{audit:#}"
    );

    platform.release(&held_home)?;
    platform.release(&held_voter)?;
    // The voter had it too, and says so; which rows they were is known where it was written.
    let told = until_told(&platform, &region, &id, &[&home, &voter]).await?;
    assert_eq!(lost_tickets(&told, &home), [uuid(&given_up)?], "{told:#}");
    // Before it died the home may have gone on with what follows from a ticket.
    for report in told["data"].as_array().into_iter().flatten() {
        assert!(report["transactions"].as_u64() >= Some(1), "{told:#}");
    }
    platform.until_redundant(&id).await?;
    user.opens_ticket("after").await?;
    assert_eq!(user.tickets().await?, ["after", "kept"]);
    Ok(())
}

/// Waits until sites have told what they had that the cell went on without, and nobody else has.
async fn until_told(
    platform: &Platform,
    asked: &RegionId,
    cell: &str,
    sites: &[&str],
) -> anyhow::Result<Value> {
    let deadline = Instant::now() + TOLD;
    loop {
        let told = platform.control_plane(asked, &format!("/v1/cells/{cell}/lost-writes")).await?;
        let reports = told["data"].as_array().into_iter().flatten();
        let mut regions: Vec<String> = reports.map(|report| text(&report["region"])).collect();
        regions.sort();
        let mut expected = sites.to_vec();
        expected.sort_unstable();
        if regions == expected {
            return Ok(told);
        }
        ensure!(Instant::now() < deadline, "hear of {sites:?} what {cell} lost: {told:#}");
        sleep(LOOK).await;
    }
}

/// Returns the tickets that a site reports as lost.
fn lost_tickets(told: &Value, region: &str) -> Vec<String> {
    let reports = told["data"].as_array().into_iter().flatten();
    let rows = reports
        .filter(|report| report["region"] == region)
        .flat_map(|report| report["writes"].as_array().into_iter().flatten());
    let tickets = rows.filter(|row| row["table"] == "tickets");
    tickets.map(|row| text(&row["key"]["ticket_id"]).replace('-', "")).collect()
}

/// Returns a ticket's id as the database has it.
fn uuid(ticket: &str) -> anyhow::Result<String> {
    Ok(format!("{:032x}", ticket.parse::<PublicId>()?.id))
}
