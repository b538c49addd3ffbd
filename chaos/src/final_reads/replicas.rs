//! Reads what the databases of a cell have in them, all of it, until they agree or that has taken too long: what is
//! old is removed meanwhile, and a standby is a moment behind.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Method};
use runtime::HttpClient;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use topology::SiteId;
use topology::address::Port;
use topology::wire::report::SiteReport;

use super::database::{ask, primary_position, reached};
use crate::check::apart;
use crate::platform::Platform;
use crate::replica::{Contents, Replica, ReplicaRead};

/// Databases that nobody writes to agree at the first look. What keeps them apart for as long as this stays.
const AGREE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);
/// A million rows take some seconds.
const CONTENTS: Duration = Duration::from_secs(30);
const ASK: Duration = Duration::from_secs(2);

/// What must be equal, each in the order of its primary key, whatever the database's collation.
const TABLES: [(&str, &str); 5] = [
    ("tickets", "slot, ticket_id"),
    ("ticket_transitions", "slot, ticket_id, version"),
    ("messages", "slot, conversation_id, seq"),
    ("idempotency_keys", "slot, user_id COLLATE \"C\", key COLLATE \"C\""),
    ("cell_epoch", "epoch"),
];

pub(super) async fn read(platform: &Platform, sites: &[SiteId]) -> BTreeMap<SiteId, ReplicaRead> {
    let http = HttpClient::default();
    let due = Instant::now() + AGREE;
    loop {
        let read = look(platform, &http, sites).await;
        let is_whole = read.values().all(|read| matches!(read, ReplicaRead::Is(_)));
        if (is_whole && apart(&read).is_empty()) || Instant::now() >= due {
            return read;
        }
        sleep(PAUSE).await;
    }
}

/// Looks once, at or after where the primary is now.
async fn look(
    platform: &Platform,
    http: &HttpClient,
    sites: &[SiteId],
) -> BTreeMap<SiteId, ReplicaRead> {
    let unread = |err: anyhow::Error| ReplicaRead::Unread(format!("{err:#}"));
    let position = match primary_position(platform, sites).await {
        Ok(position) => position,
        Err(err) => {
            let unread = unread(err);
            return sites.iter().map(|site| (site.clone(), unread.clone())).collect();
        }
    };
    let position = position.as_str();
    let looks = sites.iter().map(|site| async move {
        let replica = replica(platform, http, site, position).await;
        (site.clone(), replica.map_or_else(unread, ReplicaRead::Is))
    });
    join_all(looks).await.into_iter().collect()
}

async fn replica(
    platform: &Platform,
    http: &HttpClient,
    site: &SiteId,
    position: &str,
) -> anyhow::Result<Replica> {
    let (is_primary, tables) = ask(platform, site, async |client| {
        reached(client, position).await?;
        let contents = timeout(CONTENTS, contents(client)).await;
        contents.context("read everything: no end")?
    })
    .await?;
    let timeline = timeline(platform, http, site).await?;
    Ok(Replica { is_primary, timeline, tables })
}

/// Reads the whole of every table that counts, and whether this is a primary.
pub(super) async fn contents(
    client: &Client,
) -> anyhow::Result<(bool, BTreeMap<String, Contents>)> {
    // Rows are compared as text, which depends on it.
    client.batch_execute("SET timezone = 'UTC'").await.context("agree on the time")?;
    let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await;
    let is_primary = !row.context("ask whether it is a standby")?.get::<_, bool>(0);
    let of_each = TABLES.map(|(table, order)| {
        format!(
            "SELECT '{table}', count(*),
                    coalesce(md5(string_agg(md5(r::text), '' ORDER BY {order})), '')
             FROM {table} r"
        )
    });
    let rows = client.query(of_each.join(" UNION ALL ").as_str(), &[]).await;
    let mut tables = BTreeMap::new();
    for row in rows.context("read everything")? {
        let rows = u64::try_from(row.get::<_, i64>(1)).context("count the rows")?;
        tables.insert(row.get(0), Contents { rows, checksum: row.get(2) });
    }
    Ok((is_primary, tables))
}

/// Asks the site's agent: the services' role is not told by a standby.
async fn timeline(platform: &Platform, http: &HttpClient, site: &SiteId) -> anyhow::Result<u32> {
    let address = platform.spec.site_address(&site.cell, &site.region, Port::Agent);
    let address = address.with_context(|| format!("find {site} in the spec"))?;
    let url = format!("http://{address}/v1/status");
    let answer = http.call(Method::GET, &url, HeaderMap::new(), Bytes::new(), ASK).await;
    let report: SiteReport = answer.and_then(|answer| answer.json(&url))?;
    let timeline = (report.timeline != 0).then_some(report.timeline);
    timeline.with_context(|| format!("ask the agent of {site} for its timeline: it does not know"))
}
