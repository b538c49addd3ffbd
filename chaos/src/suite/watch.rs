//! Looks for a real incident while a drill runs.

use std::time::Duration;

use tokio::time::sleep;

use super::Alarms;
use super::incident::{Sight, during};
use super::rotation::Hit;
use crate::control_plane::ControlPlane;
use crate::platform::Platform;

/// Between two looks: control planes see what is wrong within about a second.
const LOOK: Duration = Duration::from_secs(1);

/// What an incident is told apart by.
pub(crate) struct Watch {
    /// The suite that the drill is due by.
    pub(crate) suite: String,
    /// Before anything was broken.
    pub(crate) first: Sight,
    pub(crate) hit: Hit,
    pub(crate) alarms: Alarms,
}

impl Watch {
    /// Returns only once there is an incident, and what it is.
    pub(crate) async fn incident(&self, platform: &Platform) -> String {
        let mut before = false;
        loop {
            sleep(LOOK).await;
            // Whoever does not answer may be what the drill has broken: that says nothing.
            let found = match look(platform, &self.hit).await {
                Ok(now) => during(&self.first, &now, &self.hit, &self.alarms),
                Err(_) => None,
            };
            match found {
                // Seen once, it may be of the moment between two readings.
                Some(what) if before => return format!("a real incident: {what}"),
                found => before = found.is_some(),
            }
        }
    }
}

async fn look(platform: &Platform, hit: &Hit) -> anyhow::Result<Sight> {
    let control_plane = ControlPlane::new(platform, hit.regions.first())?;
    let (alerts, cells) = (control_plane.alerts().await?, control_plane.cells().await?);
    Ok(Sight::new(alerts, &cells))
}
