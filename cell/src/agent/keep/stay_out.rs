//! A site that people keep out: its database is there to be read and as a last resort, and follows
//! nobody. Let in again, it follows like one that was away.

use std::time::Duration;

use topology::Epoch;
use tracing::info;

use super::{Done, Keeper, LEAVE, Tools};
use crate::agent::decide::folder::Next;
use crate::agent::decide::role::Role;
use crate::agent::decide::tenure::Event;
use crate::agent::postgres::{Stop, Upstream};

/// How often it is looked whether the server still runs.
const LOOK: Duration = Duration::from_millis(500);

impl Keeper {
    pub(super) async fn stay_out(&mut self, epoch: Epoch) {
        self.end_serving(Event::Superseded).await;
        self.tools.shared.standing.send_if_modified(|standing| {
            let later = standing.epoch < epoch;
            standing.epoch = standing.epoch.max(epoch);
            later
        });
        self.stream.forget();
        self.begin(Role::StayOut { epoch }, false, stay_out(self.tools.clone()));
    }
}

/// Runs while the role lasts; ends only with an error, and is begun again then.
async fn stay_out(tools: Tools) -> anyhow::Result<Done> {
    let postgres = &tools.postgres;
    if postgres.is_running() && postgres.was_primary() {
        postgres.stop(Stop::Immediate, LEAVE).await?;
    }
    if postgres.is_running() {
        postgres.follow(&Upstream::nowhere())?;
    }
    info!("kept out: following nobody");
    loop {
        // What has yet to be rebuilt, is when it is let in again.
        if !postgres.is_running() && postgres.next() == Next::Follow {
            postgres.start_standby(&Upstream::nowhere()).await?;
        }
        tokio::time::sleep(LOOK).await;
    }
}
