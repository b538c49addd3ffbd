//! What takes the faults of a run away again. Dropping it does so, whatever ends the run.

use std::path::Path;
use std::time::Duration;

use super::Holds;
use crate::freeze::Guard;

pub(crate) struct Undo {
    pub(super) holds: Holds,
    guards: Vec<Guard>,
}

impl Undo {
    pub(crate) fn new(run_dir: &Path, run: &str) -> Self {
        Self { holds: Holds::new(run_dir, run), guards: Vec::new() }
    }

    /// Returns a guard of what is to be frozen until healed, for `ttl` at most.
    pub(super) async fn guard(&mut self, ttl: Duration) -> anyhow::Result<&mut Guard> {
        self.guards.push(Guard::start(ttl).await?);
        Ok(self.guards.last_mut().expect("one was just put in"))
    }

    /// Lets everybody go on and start again; says so when one of them could not be let.
    pub(crate) fn heal(&mut self) -> anyhow::Result<()> {
        let thawed: Vec<anyhow::Result<()>> = self.guards.iter_mut().map(Guard::thaw).collect();
        let lifted = self.holds.lift();
        thawed.into_iter().collect::<anyhow::Result<()>>().and(lifted)
    }
}
