//! What the databases of a platform say.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};
use topology::address::Port;

use super::{LOOK, Platform, UNTIL, successful};

impl Platform {
    pub fn site_address(&self, cell: &str, region: &str, port: Port) -> anyhow::Result<SocketAddr> {
        let (cell, region) = (cell.parse()?, region.parse()?);
        self.spec.site_address(&cell, &region, port).context("find the site")
    }

    /// Asks the database of a site, as its owner; columns are separated by `|`.
    pub fn sql(&self, cell: &str, region: &str, statements: &str) -> anyhow::Result<String> {
        let secrets = self.run_dir().join("secrets").join(cell);
        let password = std::fs::read_to_string(secrets.join("postgres.password"))
            .context("read the password")?;
        let address = self.site_address(cell, region, Port::Postgres)?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let output = Command::new("psql")
            .args(["-XAtq", "-h", &host, "-p", &port, "-U", "postgres", "-c", statements, "cell"])
            .env("PGPASSWORD", password.trim())
            .output()
            .context("run psql")?;
        let output = successful(output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Waits until the database of a site says so.
    pub async fn until_sql(
        &self,
        cell: &str,
        region: &str,
        question: &str,
        answer: &str,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + UNTIL;
        loop {
            let said = self.sql(cell, region, question);
            if said.as_ref().is_ok_and(|said| said == answer) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "see {answer} of {cell}@{region}: {said:?}");
            sleep(LOOK).await;
        }
    }

    /// Returns the epochs that a cell's database was opened under, and where, as they came.
    pub async fn epochs(&self, cell: &str) -> anyhow::Result<Vec<(u64, String)>> {
        let seen = self.cell(cell).await?;
        let active = seen["active"].as_str().context("find the active region")?;
        let told =
            self.sql(cell, active, "SELECT epoch, region FROM cell_epoch ORDER BY opened_at")?;
        let read = |line: &str| {
            let (epoch, region) = line.split_once('|').context("read an epoch")?;
            Ok((epoch.parse()?, region.to_owned()))
        };
        told.lines().map(read).collect()
    }

    /// Fails unless a cell's epochs begin with those that were seen before, have grown ever since,
    /// and end with the one it is served under now, where it is served.
    pub async fn assert_epochs_only_grew(
        &self,
        cell: &str,
        before: &[(u64, String)],
    ) -> anyhow::Result<()> {
        let epochs = self.epochs(cell).await?;
        let seen = self.cell(cell).await?;
        ensure!(epochs.starts_with(before), "{cell} had {before:?}, and now {epochs:?}");
        ensure!(
            epochs.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "an epoch of {cell} is no later than the one before: {epochs:?}"
        );
        let (epoch, region) = epochs.last().context("find the last epoch")?;
        ensure!(
            seen["epoch"] == *epoch && seen["active"] == **region,
            "{cell} was opened last under {epoch} in {region}, and is {seen:#}"
        );
        Ok(())
    }
}
