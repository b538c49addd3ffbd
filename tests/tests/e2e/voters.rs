//! Standbys that are lost leave the set that counts, and come back into it.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::json::{text, texts};
use tests::{Platform, User};
use topology::wire::fleet::FleetProcess;

/// A standby leaves, or copies the whole database and joins, within this.
const OPERATION: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

/// Of the three sites any two are lost, in any order: each time as much goes on as can without a
/// promise that would not be kept.
#[tokio::test]
async fn a_second_loss_is_survived_and_the_last_site_says_what_it_cannot_do() -> anyhow::Result<()>
{
    let platform = Platform::up()?;
    let user = User::of(&platform, "ada")?;
    let id = text(&platform.cell_of("ada").await?["id"]);
    let before = platform.epochs(&id).await?;
    let mut cell = Cell { platform, user, id, tickets: Vec::new() };
    cell.keeps_a_standby_out().await?;
    cell.loses_a_standby_and_then_its_active_site().await?;
    cell.loses_both_standbys().await?;
    cell.loses_its_active_site_and_then_the_next_one().await?;
    cell.platform.assert_epochs_only_grew(&cell.id, &before).await
}

/// A cell, and what its user has been promised to keep.
struct Cell {
    platform: Platform,
    user: User,
    id: String,
    tickets: Vec<String>,
}

impl Cell {
    /// Who is kept out follows nobody, and catches up once it is let in.
    async fn keeps_a_standby_out(&mut self) -> anyhow::Result<()> {
        let (active, [other, out]) = self.sites().await?;
        self.orders(&other, &format!("sites/{out}/retire")).await?;
        self.until_voters(&[&other]).await?;
        let follows = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name LIKE '%_{out}_%'"
        );
        self.platform.until_sql(&self.id, &active, &follows, "0").await?;
        self.opens_ticket("0 with one voter").await?;
        self.orders(&active, &format!("sites/{out}/add")).await?;
        self.until_voters(&[&other, &out]).await?;
        self.opens_ticket("0 with all").await
    }

    async fn orders(&self, vantage: &str, what: &str) -> anyhow::Result<()> {
        let path = format!("/v1/cells/{}/{what}", self.id);
        let (status, begun) = self.platform.order(&vantage.parse()?, &path, &json!({})).await?;
        anyhow::ensure!(status == 202, "{path}: {begun}");
        let path = format!("/v1/operations/{}", text(&begun["id"]));
        let ended = async {
            loop {
                let now = self.platform.control_plane(&vantage.parse()?, &path).await?;
                match now["status"].as_str() {
                    Some("running") => tokio::time::sleep(LOOK).await,
                    Some("done") => return Ok(()),
                    _ => anyhow::bail!("{path}: {now}"),
                }
            }
        };
        tokio::time::timeout(OPERATION, ended).await.context("see the operation's end")?
    }

    async fn loses_a_standby_and_then_its_active_site(&mut self) -> anyhow::Result<()> {
        let (active, [first, last]) = self.sites().await?;
        self.opens_ticket("1 with all").await?;
        let held_first = self.lose(&first)?;
        self.until_voters(&[&last]).await?;
        self.opens_ticket("2 with one voter").await?;

        let held_active = self.lose(&active)?;
        self.platform.until_active_in(&self.id, &last).await?;
        self.is_alone().await?;

        self.platform.release(&held_first)?;
        let is_back =
            |seen: &Value| texts(&seen["voters"]).contains(&first) && seen["at_risk"] == false;
        self.platform.until(&self.id, "with a voter again", is_back).await?;
        self.opens_ticket("3 with one voter again").await?;
        self.platform.release(&held_active)
    }

    /// The active site is there all the time, and serves what one region alone may promise.
    async fn loses_both_standbys(&mut self) -> anyhow::Result<()> {
        let (active, standbys) = self.sites().await?;
        let epoch = self.platform.cell(&self.id).await?["epoch"].clone();
        let mut held = Vec::new();
        for standby in &standbys {
            held.extend(self.lose(standby)?);
        }
        let nobody = "SELECT count(*) FROM pg_stat_replication";
        self.platform.until_sql(&self.id, &active, nobody, "0").await?;
        // Whoever comes before the loss is known waits for an answer, and gets no success.
        let ticket = json!({ "subject": "too early", "description": "…" });
        let early = self.user.post("/v1/tickets", &ticket).await?;
        assert_eq!(early.status, 503, "{early:?}");
        assert!(["at-risk", "outcome-unknown"].contains(&early.code()), "{early:?}");

        self.is_alone().await?;
        let seen = self.platform.cell(&self.id).await?;
        assert_eq!((text(&seen["active"]), &seen["epoch"]), (active, &epoch), "{seen:#}");
        self.platform.release(&held)?;
        self.platform.until_redundant(&self.id).await?;
        // An outcome that was unknown is known now.
        self.tickets = self.user.tickets().await?;
        self.opens_ticket("4 with all again").await
    }

    /// A failover leaves the lost site behind, so that the next one needs only who is left.
    async fn loses_its_active_site_and_then_the_next_one(&mut self) -> anyhow::Result<()> {
        let (first, standbys) = self.sites().await?;
        let mut held = self.lose(&first)?;
        let seen = self.platform.until_active_outside(&self.id, &first).await?;
        let second = text(&seen["active"]);
        let last = standbys.into_iter().find(|standby| *standby != second);
        let last = last.unwrap_or_default();
        self.until_voters(&[&last]).await?;
        self.opens_ticket("5 with who is left").await?;

        held.extend(self.lose(&second)?);
        self.platform.until_active_in(&self.id, &last).await?;
        self.is_alone().await?;
        self.platform.release(&held)?;
        self.platform.until_redundant(&self.id).await?;
        self.opens_ticket("6 with all in the end").await
    }

    /// All that was promised is there, weak writes go on, strong ones are refused.
    async fn is_alone(&self) -> anyhow::Result<()> {
        let at_risk = |seen: &Value| seen["at_risk"] == true;
        self.platform.until(&self.id, "at risk", at_risk).await?;
        self.user.is_refused_at_risk().await?;
        let listed = self.user.tickets().await?;
        assert!(self.tickets.iter().all(|ticket| listed.contains(ticket)), "{listed:?}");
        let chat = self.user.post("/v1/conversations", &json!({})).await?;
        assert_eq!(chat.status, 201, "{chat:?}");
        let path = format!("/v1/conversations/{}/messages", text(&chat.body["id"]));
        let said = self.user.post(&path, &json!({ "text": "where is my parcel" })).await?;
        assert_eq!(said.status, 201, "{said:?}");
        Ok(())
    }

    async fn opens_ticket(&mut self, subject: &str) -> anyhow::Result<()> {
        self.user.opens_ticket(subject).await?;
        self.tickets.push(subject.to_owned());
        self.tickets.sort();
        assert_eq!(self.user.tickets().await?, self.tickets);
        Ok(())
    }

    /// Returns where the cell is active and who stands by, once all of them are there.
    async fn sites(&self) -> anyhow::Result<(String, [String; 2])> {
        let seen = self.platform.until_redundant(&self.id).await?;
        let voters = texts(&seen["voters"]).try_into();
        let voters = voters.map_err(|voters| anyhow::anyhow!("expect two voters: {voters:?}"))?;
        Ok((text(&seen["active"]), voters))
    }

    async fn until_voters(&self, voters: &[&str]) -> anyhow::Result<()> {
        let is_so = |seen: &Value| texts(&seen["voters"]) == voters;
        self.platform.until(&self.id, &format!("with voters {voters:?}"), is_so).await.map(|_| ())
    }

    fn lose(&self, region: &str) -> anyhow::Result<Vec<FleetProcess>> {
        self.platform.kill_and_hold_site(&self.id, region)
    }
}
