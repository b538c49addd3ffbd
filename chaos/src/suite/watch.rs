//! Looks for a real incident while a drill runs, and whether it is still wanted.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Alarms;
use super::incident::{Sight, during};
use super::rotation::Hit;
use super::tied::Tied;
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
    /// Whoever has the suite followed, unless the drill may take it down.
    pub(crate) tied: Option<Arc<Tied>>,
}

impl Watch {
    /// Returns only once the drill must not go on, and why.
    pub(crate) async fn ended(&self, platform: &Platform) -> String {
        let let_go = async {
            match &self.tied {
                Some(tied) => tied.gone().await,
                None => pending().await,
            }
        };
        tokio::select! {
            what = self.incident(platform) => what,
            () = let_go => "the control plane that had it run has gone, or let go".to_owned(),
        }
    }

    /// Returns only once there is an incident, and what it is.
    async fn incident(&self, platform: &Platform) -> String {
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
