//! What a request may cost others: its user's and its cell's buckets, its cell's share of what is
//! under way, and its cell's breaker. Each refusal is quick, says when to come again, and is counted.

use std::sync::Arc;
use std::time::Duration;

use runtime::Problem;
use tokio::time::Instant;
use topology::CellId;
use topology::spec::edge::{Cidr, Edge, Limits};

use crate::buckets::{LiveRouters, Users};
use crate::cell::{Cell, Memory};
use crate::decide::breaker::Outcome;
use crate::forwarding::Asker;
use crate::hold::Unplaced;
use crate::load::Place;
use crate::metrics::{Metrics, Refusal};
use crate::site::Site;

/// Shown to a client that is refused because there is too much to do; a second is long for a site.
const SOON: Duration = Duration::from_secs(1);

pub(crate) struct Protection {
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) routers: Arc<LiveRouters>,
    users: Users,
    metrics: Arc<Metrics>,
    started: Instant,
}

impl Protection {
    pub(crate) fn new(edge: &Edge, metrics: Arc<Metrics>) -> Self {
        Self {
            limits: edge.limits.clone(),
            trusted_proxies: edge.trusted_proxies.clone(),
            routers: Arc::default(),
            users: Users::new(edge.limits.user),
            metrics,
            started: Instant::now(),
        }
    }

    /// Takes a request from its user's and its cell's bucket.
    pub(crate) fn admit(&self, asker: &Asker, id: &CellId, cell: &Cell) -> Result<(), Problem> {
        if let Err(wait) = self.users.take(asker.person.user.as_bytes()) {
            self.metrics.refused(id, Refusal::UserRate);
            return Err(refusal(429, "user-rate", "You have asked too often", wait));
        }
        if let Err(wait) = cell.memory.bucket.take(self.limits.cell, self.routers.count()) {
            self.metrics.refused(id, Refusal::CellRate);
            return Err(refusal(429, "cell-rate", "Your cell has been asked too often", wait));
        }
        Ok(())
    }

    /// Takes a place at a cell's sites out of its share of `cells`.
    pub(crate) fn place(&self, asker: &Asker, cell: &Arc<Memory>, cells: usize) -> Option<Place> {
        Place::take(cell, asker.stream.is_some(), self.share(asker, cells))
    }

    /// Returns how many such requests one of `cells` may have under way.
    pub(crate) fn share(&self, asker: &Asker, cells: usize) -> usize {
        let total = if asker.stream.is_some() { self.limits.streams } else { self.limits.requests };
        (total as usize / cells.max(1)).max(1)
    }

    /// Tells a cell's breaker how its active site has answered: not well by a plain 5xx.
    pub(crate) fn answered(&self, cell: &Memory, site: &Site, is_well: bool) {
        let outcome = if is_well { Outcome::Answered } else { Outcome::Failed };
        self.saw(cell, site, outcome);
    }

    /// Tells a cell's breaker that the site said nothing, or that waiting for it was in vain.
    pub(crate) fn failed(&self, cell: &Memory, site: &Site) {
        self.saw(cell, site, Outcome::Failed);
    }

    fn saw(&self, cell: &Memory, site: &Site, outcome: Outcome) {
        let now = self.started.elapsed();
        let is_closed = cell.breaker(|breaker| {
            breaker.saw(site.epoch, outcome, &self.limits.breaker, now);
            breaker.is_closed()
        });
        self.metrics.breaker(&site.cell, is_closed);
    }

    /// Returns a place at a site, if it may have another request now.
    pub(crate) fn send(
        &self,
        asker: &Asker,
        site: &Site,
        cell: &Arc<Memory>,
        cells: usize,
    ) -> Result<Place, Unplaced> {
        let Some(place) = self.place(asker, cell, cells) else {
            return Err(Unplaced::Overloaded);
        };
        match cell.breaker(|breaker| breaker.admit(site.epoch, self.started.elapsed())) {
            Ok(()) => Ok(place),
            Err(wait) => Err(Unplaced::Unavailable { wait }),
        }
    }
}

pub(crate) fn overloaded() -> Problem {
    refusal(503, "overloaded", "The cell has as many requests as it may have at once", SOON)
}

pub(crate) fn unavailable(wait: Duration) -> Problem {
    refusal(503, "cell-unavailable", "The cell has failed too often and is left alone", wait)
}

fn refusal(status: u16, code: &str, title: &str, wait: Duration) -> Problem {
    // Whole seconds, and never none: who comes again at once is refused again.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(status, code, title)
        .detail("nothing was done; try again after the time that Retry-After says")
        .header("retry-after", seconds.max(1).to_string())
}
