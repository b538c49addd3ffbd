//! Two regions lost at once, with their members of etcd: nobody decides anything, until a person
//! does.

use serde_json::{Value, json};
use tests::json::text;
use tests::{Platform, User};
use topology::RegionId;
use topology::wire::fleet::FleetRole;

const LOST: [&str; 2] = ["east", "north"];
const LEFT: &str = "south";
const REASON: &str = "two regions are gone";
/// Whatever its active site had sent by then, each standby shows.
const ALL_HEARD: &str =
    "SELECT count(*) = 2 AND bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication";

#[tokio::test]
async fn two_regions_lost_wait_for_a_person_and_everything_is_whole_in_the_end()
-> anyhow::Result<()> {
    let platform = Platform::up()?;
    let mut cells = Vec::new();
    for cell in &platform.spec.cells {
        cells.push(Cell::with_a_ticket(&platform, &cell.id).await?);
    }
    let [first, second, third] = cells.as_slice() else { anyhow::bail!("find three cells") };

    let mut held = Vec::new();
    for region in LOST {
        held.extend(platform.kill_and_hold_region(region)?);
    }
    // Requests wait for an active site as long as they may: all of them together.
    tokio::try_join!(
        first.is_only_shown(&platform),
        second.is_only_shown(&platform),
        third.is_only_shown(&platform),
    )?;

    done(&platform, &["recover-etcd", "--region", LEFT, "--yes"])?;
    let left: RegionId = LEFT.parse()?;
    let (there, lost): (Vec<&Cell>, Vec<&Cell>) = cells.iter().partition(|cell| cell.is_there());
    for cell in there {
        // Whoever was active here has all that it acknowledged, and goes on with what one may do.
        platform.until_active_in(&cell.id, LEFT).await?;
        cell.is_served_at_risk(&platform).await?;
    }
    for cell in &lost {
        let seen = platform.until(&cell.id, "frozen", |seen| !seen["frozen"].is_null()).await?;
        assert_eq!((&seen["epoch"], &seen["active"]), (&cell.epoch, &cell.active), "{seen:#}");
        let path = format!("/v1/cells/{}/failover", cell.id);
        let order = json!({ "to": LEFT, "accept_data_loss": true, "reason": REASON });
        let (status, answer) = platform.order(&left, &path, &order).await?;
        assert_eq!(status, 200, "{answer:#}");
        platform.until_active_in(&cell.id, LEFT).await?;
        cell.is_served_at_risk(&platform).await?;
    }
    let audit = platform.control_plane(&left, "/v1/audit").await?;
    let mut audited: Vec<String> = Vec::new();
    // What control planes have tried by themselves is there, too.
    let entries = audit["data"].as_array().into_iter().flatten();
    for entry in entries.filter(|entry| entry["what"] == "failover") {
        assert_eq!(entry["reason"], REASON);
        audited.push(text(&entry["cell"]));
    }
    audited.sort();
    assert_eq!(audited, lost.iter().map(|cell| cell.id.clone()).collect::<Vec<_>>(), "{audit:#}");

    for region in LOST {
        done(&platform, &["recover-etcd", "--rejoin", region])?;
    }
    // What held etcd's members back was lifted when they rejoined.
    held.retain(|process| process.role != FleetRole::Etcd);
    platform.release(&held)?;
    for cell in &cells {
        platform.until_redundant(&cell.id).await?;
        cell.user.opens_ticket("after").await?;
        platform.assert_epochs_only_grew(&cell.id, &cell.epochs).await?;
    }
    Ok(())
}

/// A cell with one user, as it was before.
struct Cell {
    id: String,
    user: User,
    epoch: Value,
    active: Value,
    epochs: Vec<(u64, String)>,
}

impl Cell {
    async fn with_a_ticket(platform: &Platform, id: &topology::CellId) -> anyhow::Result<Self> {
        let user = User::in_cell(platform, id)?;
        user.opens_ticket("before").await?;
        let id = id.to_string();
        let seen = platform.until_redundant(&id).await?;
        platform.until_sql(&id, &text(&seen["active"]), ALL_HEARD, "t").await?;
        let epochs = platform.epochs(&id).await?;
        let (epoch, active) = (seen["epoch"].clone(), seen["active"].clone());
        Ok(Self { id, user, epoch, active, epochs })
    }

    /// Whether it was active in the region that is left.
    fn is_there(&self) -> bool {
        self.active == LEFT
    }

    /// A standby that is left shows what it has heard; nothing takes a write.
    async fn is_only_shown(&self, platform: &Platform) -> anyhow::Result<()> {
        // The site whose voters are lost has its right for some moments more.
        let seen = platform.until(&self.id, "not served", |seen| !is_served(seen)).await?;
        assert_eq!(seen["epoch"], self.epoch, "nothing is promoted: {seen:#}");
        // A database that was active is stopped with its right, and starts when etcd answers.
        if !self.is_there() {
            let read = self.user.get("/v1/tickets").await?;
            assert_eq!(read.status, 200, "{}: {read:?}", self.id);
            assert!(!read.header("x-bulkhead-stale").is_empty(), "{}: {read:?}", self.id);
            assert_eq!(read.body["data"][0]["subject"], "before", "{}: {read:?}", self.id);
        }
        let ticket = json!({ "subject": "nobody", "description": "…" });
        let refused = self.user.post("/v1/tickets", &ticket).await?;
        assert_eq!((refused.status.as_u16(), refused.code()), (503, "hold-timeout"), "{refused:?}");
        Ok(())
    }

    /// The last site goes on alone, and says what it cannot do.
    async fn is_served_at_risk(&self, platform: &Platform) -> anyhow::Result<()> {
        platform.until(&self.id, "at risk", |seen| seen["at_risk"] == true).await?;
        assert_eq!(self.user.tickets().await?, ["before"]);
        let chat = self.user.post("/v1/conversations", &json!({})).await?;
        assert_eq!(chat.status, 201, "weak writes go on: {chat:?}");
        self.user.is_refused_at_risk().await
    }
}

fn is_served(cell: &Value) -> bool {
    let sites = cell["sites"].as_array();
    let left = sites.into_iter().flatten().find(|site| site["region"] == LEFT);
    left.is_none_or(|site| site["tenure"] == "serving")
}

fn done(platform: &Platform, arguments: &[&str]) -> anyhow::Result<()> {
    let run = platform.run("platform", arguments)?;
    let said = String::from_utf8_lossy(&run.stderr);
    anyhow::ensure!(run.status.success(), "{arguments:?}: {said}");
    Ok(())
}
