//! The schema, by versioned migrations (`cell/migrations`).

use anyhow::Context as _;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Brings the schema to this program's version; does nothing where it already is. Run as the
/// database's owner by the agent of the active site; each version works with the program before.
pub async fn migrate(client: &mut tokio_postgres::Client) -> anyhow::Result<()> {
    embedded::migrations::runner().run_async(client).await.context("migrate the database")?;
    Ok(())
}

/// Returns whether the newest of this program's migrations has been run here; `false` also where
/// that cannot be told.
pub async fn is_current(client: &tokio_postgres::Client) -> bool {
    let newest = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max();
    let ran = "SELECT max(version) FROM refinery_schema_history";
    let ran = client.query_one(ran, &[]).await.and_then(|row| row.try_get::<_, Option<i32>>(0));
    ran.is_ok_and(|ran| ran.map(i64::from) == newest.map(i64::from))
}
