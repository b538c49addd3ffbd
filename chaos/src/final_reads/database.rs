//! Reads the tickets and the ledger of a run from each database of a cell, the standbys' no earlier than
//! the primary's.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, Config, NoTls};
use topology::SiteId;
use topology::address::Port;

use super::ledger;
use crate::history::{kept_mark, unmark};
use crate::ledger::LedgerRead;
use crate::platform::Platform;

const CONNECT: Duration = Duration::from_secs(3);
/// More than to catch up and to read everything take. Whoever stands still with a connection open says nothing.
const WORK: Duration = Duration::from_mins(1);
/// A standby that streams is behind by milliseconds.
const CATCH_UP: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// What a run has left in a database.
pub(super) struct Rows {
    /// How many rows each operation left.
    pub(super) tickets: BTreeMap<u32, u32>,
    /// The versions of the tickets that users keep, by their names.
    pub(super) versions: BTreeMap<String, u64>,
    pub(super) ledger: LedgerRead,
}

/// Reads every site's database of one cell.
pub(super) async fn read_cell(
    platform: &Platform,
    run: &str,
    sites: &[SiteId],
) -> BTreeMap<SiteId, anyhow::Result<Rows>> {
    let position = match primary_position(platform, sites).await {
        Ok(position) => position,
        Err(err) => {
            let unread = |site: &SiteId| (site.clone(), Err(anyhow::anyhow!("{err:#}")));
            return sites.iter().map(unread).collect();
        }
    };
    let mut reads = BTreeMap::new();
    for site in sites {
        reads.insert(site.clone(), read_site(platform, run, site, &position).await);
    }
    reads
}

/// Returns how far the primary's log has been flushed; fails unless exactly one site is primary.
pub(super) async fn primary_position(
    platform: &Platform,
    sites: &[SiteId],
) -> anyhow::Result<String> {
    let mut positions = Vec::new();
    for site in sites {
        let position = ask(platform, site, async |client| {
            let row = client
                .query_one(
                    "SELECT CASE WHEN pg_is_in_recovery() THEN NULL
                            ELSE pg_current_wal_flush_lsn()::text END",
                    &[],
                )
                .await?;
            Ok(row.get::<_, Option<String>>(0))
        });
        positions.extend(position.await?);
    }
    let count = positions.len();
    ensure!(count == 1, "find the primary: {count} databases are not in recovery");
    positions.pop().context("find the primary")
}

async fn read_site(
    platform: &Platform,
    run: &str,
    site: &SiteId,
    position: &str,
) -> anyhow::Result<Rows> {
    ask(platform, site, async |client| {
        reached(client, position).await?;
        let rows = client
            .query(
                "SELECT subject, count(*), max(version) FROM tickets
                 WHERE starts_with(subject, $1) GROUP BY subject",
                &[&format!("{run}/")],
            )
            .await
            .context("read the tickets")?;
        // A cell of an earlier version has no ledger, and tickets all the same.
        let ledger = match ledger::read(client, run).await {
            Ok(rows) => LedgerRead::Rows(rows),
            Err(err) => LedgerRead::Unread(format!("{err:#}")),
        };
        let mut read = Rows { tickets: BTreeMap::new(), versions: BTreeMap::new(), ledger };
        let kept = kept_mark(run, "");
        for row in rows {
            let subject: String = row.get(0);
            if let Some(user) = subject.strip_prefix(&kept) {
                let version = u64::try_from(row.get::<_, i64>(2)).context("read a version")?;
                read.versions.insert(user.to_owned(), version);
                continue;
            }
            let count = u32::try_from(row.get::<_, i64>(1)).context("count a ticket's rows")?;
            let number = unmark(run, &subject);
            read.tickets.extend(number.map(|number| (number, count)));
        }
        Ok(read)
    })
    .await
}

/// Waits until a database has replayed everything before a position; a primary has.
pub(super) async fn reached(client: &Client, position: &str) -> anyhow::Result<()> {
    let due = Instant::now() + CATCH_UP;
    while !has_reached(client, position).await? {
        if Instant::now() >= due {
            bail!("wait until it has replayed {position}");
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn has_reached(client: &Client, position: &str) -> anyhow::Result<bool> {
    let row = client
        .query_one(
            "SELECT CASE WHEN pg_is_in_recovery()
                    THEN pg_last_wal_replay_lsn() >= $1::text::pg_lsn ELSE true END",
            &[&position],
        )
        .await
        .context("ask how far it is")?;
    Ok(row.get::<_, Option<bool>>(0).unwrap_or(false))
}

/// Connects to a site's database for as long as `work` takes.
pub(crate) async fn ask<T>(
    platform: &Platform,
    site: &SiteId,
    work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let address = platform.spec.site_address(&site.cell, &site.region, Port::Postgres);
    let address = address.with_context(|| format!("find {site} in the spec"))?;
    let mut config = Config::new();
    config
        .host(address.ip().to_string())
        .port(address.port())
        .user("service")
        .password(platform.service_password(&site.cell)?)
        .dbname("cell")
        .application_name("drill");
    let (client, connection) = timeout(CONNECT, config.connect(NoTls))
        .await
        .with_context(|| format!("connect to the database of {site}: no answer"))?
        .with_context(|| format!("connect to the database of {site}"))?;
    tokio::select! {
        result = timeout(WORK, work(&client)) => {
            let result = result.with_context(|| format!("read the database of {site}: no end"))?;
            result.with_context(|| format!("read the database of {site}"))
        }
        ended = connection => {
            ended.with_context(|| format!("stay connected to the database of {site}"))?;
            bail!("stay connected to the database of {site}: it closed the connection")
        }
    }
}
