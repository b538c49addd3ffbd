//! Reads what a database has noted of a run's writes: the rows of its idempotency keys.

use anyhow::Context as _;
use tokio_postgres::{Client, Row};
use topology::Epoch;

use crate::history::unmark;
use crate::ledger::{By, Noted};

pub(super) async fn read(client: &Client, run: &str) -> anyhow::Result<Vec<Noted>> {
    let rows = client
        .query(
            "SELECT slot, key, encode(fingerprint, 'hex'), epoch, writer,
                    (lsn - '0/0'::pg_lsn)::bigint
             FROM idempotency_keys WHERE starts_with(key, $1)",
            &[&format!("{run}/")],
        )
        .await
        .context("read the ledger")?;
    rows.iter().map(|row| noted(run, row)).collect()
}

fn noted(run: &str, row: &Row) -> anyhow::Result<Noted> {
    let key: String = row.get(1);
    let signed: (Option<i64>, Option<String>, Option<i64>) = (row.get(3), row.get(4), row.get(5));
    let by = match signed {
        (Some(epoch), Some(site), Some(lsn)) => Some(By {
            lsn: u64::try_from(lsn).context("read a place in the log")?,
            epoch: Epoch(epoch.cast_unsigned()),
            site: site.parse().with_context(|| format!("read who wrote {key}"))?,
        }),
        (_, _, _) => None,
    };
    Ok(Noted {
        by,
        number: unmark(run, &key),
        slot: u16::try_from(row.get::<_, i16>(0)).context("read a slot")?,
        payload: row.get(2),
        key,
    })
}
