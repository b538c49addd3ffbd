//! Reading a former primary's rows before its data directory is brought back in line: beside its
//! usual address, so that nobody else takes it for the cell's database.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use topology::wire::lost_writes::LostWrite;

use super::{Postgres, Sql, Stop, Upstream};

/// How long reading may take: crash recovery, and a scan of each table. The site is not missed
/// meanwhile, its redundancy is.
const READ: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(5);

/// Columns that tell a person whose a row was, without what users wrote.
const ABOUT: &str = "{user_id,message_id,client_message_id,author,conversation_id,ticket_id,number,\
                     topic,created_at}";

/// The rows of some transactions.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The last epoch this database was opened under.
    pub(crate) epoch: u64,
    pub(crate) writes: Vec<LostWrite>,
    pub(crate) truncated: bool,
}

impl Postgres {
    /// Starts the stopped server read-only and aside, reads at most `limit` rows that these
    /// transactions wrote last, and stops it again.
    /// Its own history is read to its end: a standby may know of the one that went on without it.
    pub(crate) async fn rows_of(
        &self,
        timeline: u32,
        xids: &[u32],
        limit: usize,
    ) -> anyhow::Result<Rows> {
        self.write_standby_signal(&self.data)?;
        self.write_upstream(&Upstream::nowhere())?;
        let sql = Sql::open(self.aside, &self.passwords.postgres)?;
        self.spawn(&[
            format!("port={}", self.aside.port()),
            format!("recovery_target_timeline={timeline}"),
        ])?;
        let read = async {
            self.is_up(&sql).await?;
            read(&sql, xids, limit).await
        };
        let rows = tokio::time::timeout(READ, read).await.context("read the rows in time");
        self.stop(Stop::Fast, STOP).await.context("stop PostgreSQL after reading")?;
        rows?
    }
}

async fn read(sql: &Sql, xids: &[u32], limit: usize) -> anyhow::Result<Rows> {
    let client = sql.cell().await?;
    let epoch = client.query_one("SELECT coalesce(max(epoch), 0) FROM cell_epoch", &[]).await;
    let epoch: i64 = epoch.context("read the epoch")?.get(0);
    let mut rows = Rows { epoch: epoch.cast_unsigned(), ..Rows::default() };
    let xids: Vec<i64> = xids.iter().map(|xid| i64::from(*xid)).collect();
    // Every table whose key begins with the slot, with its key's columns and what tells whose.
    let tables = "SELECT c.relname::text,
            array_agg(a.attname::text ORDER BY k.n) FILTER (WHERE k.n IS NOT NULL),
            array_agg(a.attname::text) FILTER (WHERE k.n IS NULL AND a.attname = ANY ($1::text::text[]))
        FROM pg_class c
        JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, n) ON k.attnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
        GROUP BY c.relname
        HAVING min(a.attname::text) FILTER (WHERE k.n = 1) = 'slot'
        ORDER BY c.relname";
    for table in client.query(tables, &[&ABOUT]).await.context("read the catalogue")? {
        let name: String = table.get(0);
        let key: Vec<String> = table.get(1);
        let about: Option<Vec<String>> = table.get(2);
        let room = limit - rows.writes.len();
        let query = format!(
            "SELECT {}::text, {}::text FROM {name} WHERE xmin::text::bigint = ANY ($1) LIMIT {}",
            object(&key),
            object(&about.unwrap_or_default()),
            room + 1
        );
        let found = client.query(&query, &[&xids]).await;
        for (n, row) in found.with_context(|| format!("read {name}"))?.into_iter().enumerate() {
            if n == room {
                rows.truncated = true;
                return Ok(rows);
            }
            rows.writes.push(LostWrite {
                table: name.clone(),
                key: columns(row.get(0))?,
                about: columns(row.get(1))?,
            });
        }
    }
    Ok(rows)
}

/// Returns an expression for an object of these columns as text. The names come from the catalogue.
fn object(columns: &[String]) -> String {
    let fields: Vec<String> =
        columns.iter().map(|column| format!("'{column}', {column}::text")).collect();
    format!("jsonb_strip_nulls(jsonb_build_object({}))", fields.join(", "))
}

fn columns(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    serde_json::from_str(text).context("read a row")
}
