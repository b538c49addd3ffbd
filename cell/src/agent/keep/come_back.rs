//! What an active site does that does not serve any more: begins a new epoch in place, or asks for another
//! site.

use tokio::time::Instant;
use topology::{Cause, Failure};
use tracing::warn;

use super::abandon::gateway_knows;
use super::{Keeper, Known, PAUSE, change};
use crate::agent::decide::pace::Return;

impl Keeper {
    /// Serves again, here or elsewhere. PostgreSQL that ended by itself is started again at once; a site
    /// that has not kept its right has to show that it would now.
    pub(super) async fn come_back(&mut self, known: &Known) {
        let pace = *self.tools.shared.pace.borrow();
        let back = self.lapsed.map(|lapsed| pace.after_lapse(lapsed, Instant::now()));
        match back.unwrap_or(Return::InPlace) {
            Return::InPlace => self.reopen(known).await,
            Return::Wait => {}
            Return::Elsewhere => {
                let reason = format!("{} is not run in time to keep its right", self.tools.site.id);
                self.give_up(known, &reason).await;
            }
        }
    }

    /// Begins a new epoch in place: everything acknowledged is here, and nobody else may serve while
    /// the record is unchanged.
    async fn reopen(&mut self, known: &Known) {
        if !self.tools.postgres.has_data() {
            self.give_up(known, "the active site has no data").await;
            return;
        }
        let mut next = known.activation().clone();
        next.epoch = next.epoch.next();
        next.phase = topology::Phase::Promoting { active: self.tools.site.id.region.clone() };
        next.cause = Some(Cause::failure(Failure::CameBack));
        next.reason = format!("{} came back in place", self.tools.site.id);
        match change(&self.tools, known, next).await {
            Ok(Some(known)) => self.tools.shared.learn(known),
            Ok(None) => self.tools.shared.refresh.notify_one(),
            Err(err) => {
                self.not_before = Instant::now() + PAUSE;
                warn!(error = format!("{err:#}"), "new epoch not begun");
            }
        }
    }

    /// Asks for an election. Nobody waits until this site's right would be over who reads that it has given it
    /// up: it says so once its database has ended, and no answer may be under way any more.
    pub(super) async fn give_up(&mut self, known: &Known, reason: &str) {
        let has_stopped =
            !self.tools.postgres.is_running() && gateway_knows(&self.tools).await.is_ok();
        let failure = if has_stopped { Failure::GaveUp } else { Failure::SiteLost };
        warn!(reason, has_stopped, "asking for an election");
        self.not_before = Instant::now() + PAUSE;
        let next = known.activation().elect(reason).because(Cause::failure(failure));
        if let Err(err) = change(&self.tools, known, next).await {
            warn!(error = format!("{err:#}"), "election not asked for");
        }
        self.tools.shared.refresh.notify_one();
    }
}
