//! The schema, by versioned migrations (`cell/migrations`).

use anyhow::{Context as _, ensure};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Brings the schema to this program's version; does nothing where it is that already, or newer. Run
/// as the database's owner by the agent of the active site; each version works with the program
/// before, so a site that is still to be upgraded opens what an upgraded one has migrated.
pub async fn migrate(client: &mut tokio_postgres::Client) -> anyhow::Result<()> {
    // A migration under a known number that reads otherwise is another history, and is refused.
    let runner = embedded::migrations::runner().set_abort_missing(false).set_abort_divergent(true);
    runner.run_async(client).await.context("migrate the database")?;
    let applied =
        runner.get_applied_migrations_async(client).await.context("look at the schema")?;
    for own in runner.get_migrations() {
        ensure!(applied.contains(own), "find migration {own} in the database, which is newer");
    }
    Ok(())
}

/// Returns whether the newest of this program's migrations has been run here, or a newer one;
/// `false` also where that cannot be told.
pub async fn is_current(client: &tokio_postgres::Client) -> bool {
    let newest = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max();
    let ran = "SELECT max(version) FROM refinery_schema_history";
    let ran = client.query_one(ran, &[]).await.and_then(|row| row.try_get::<_, Option<i32>>(0));
    ran.is_ok_and(|ran| ran.map(i64::from) >= newest.map(i64::from))
}
