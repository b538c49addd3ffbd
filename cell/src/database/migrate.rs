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
