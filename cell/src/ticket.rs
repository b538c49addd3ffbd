//! .

use crate::config::Site;

pub async fn run(_site: &Site) -> anyhow::Result<()> {
    runtime::stop_asked().await;
    Ok(())
}
