//! .

mod calibration;
mod features;
mod linear;
pub mod model;

use crate::config::Site;

pub async fn run(_site: &Site) -> anyhow::Result<()> {
    runtime::stop_asked().await;
    Ok(())
}
