//! Bringing a data directory back in line with the active site's: rewind, or copy everything.
//!
//! What `pg_rewind` does is decided by the numbers of the timelines: with the same one on both sides
//! it finds nothing to do, whatever the two directories hold. A source that ends meanwhile leaves the
//! marker behind, and a directory that is copied the next time.

use std::rc::Rc;
use std::time::Duration;

use super::super::sabotage::Sabotage;
use super::super::wal::Relation;
use super::super::{Proc, Sim};

/// What a tool waits for a connection.
const CONNECT: Duration = Duration::from_secs(2);

impl Sim {
    /// Rewinds a former primary onto the history of `source`, or copies the whole database where
    /// that fails. The server must be stopped.
    pub async fn pg_rejoin(
        self: &Rc<Self>,
        agent: &Proc,
        site: usize,
        source: usize,
    ) -> Result<(), &'static str> {
        if self.pg(site).disk.borrow().rewinding {
            return self.pg_copy(agent, site, source).await;
        }
        match self.rewind(agent, site, source).await {
            Ok(()) => Ok(()),
            Err(_why) => self.pg_copy(agent, site, source).await,
        }
    }

    async fn rewind(
        self: &Rc<Self>,
        agent: &Proc,
        site: usize,
        source: usize,
    ) -> Result<(), &'static str> {
        self.reach(agent, source).await?;
        self.pg(site).disk.borrow_mut().rewinding = true;
        let (ours, theirs) = (self.pg(site).head(), self.pg(source).head());
        if self.wal.timeline(ours) == self.wal.timeline(theirs) {
            self.trace(|| format!("{}: pg_rewind finds the same timeline", self.name(site)));
            // A former primary and its successor share a number, but no history beyond the fork.
            if !self.sabotaged(Sabotage::TrustTheTimeline) {
                return Err("rewind on the same timeline");
            }
        } else {
            self.transfer(agent, source, 100..700).await?;
            self.take_over_history(site, source);
        }
        let mut disk = self.pg(site).disk.borrow_mut();
        disk.was_primary = false;
        disk.rewinding = false;
        Ok(())
    }

    /// Copies the whole database; the old one stays until the copy is complete.
    pub async fn pg_copy(
        self: &Rc<Self>,
        agent: &Proc,
        site: usize,
        source: usize,
    ) -> Result<(), &'static str> {
        self.reach(agent, source).await?;
        self.transfer(agent, source, 300..1500).await?;
        self.take_over_history(site, source);
        let mut disk = self.pg(site).disk.borrow_mut();
        disk.was_primary = false;
        disk.rewinding = false;
        Ok(())
    }

    fn take_over_history(&self, site: usize, source: usize) {
        let (theirs, phantom) = {
            let disk = self.pg(source).disk.borrow();
            (disk.head, disk.phantom)
        };
        let mut disk = self.pg(site).disk.borrow_mut();
        if self.wal.compare(disk.head, theirs) != Relation::Within {
            self.trace(|| format!("{}: what only this site had is thrown away", self.name(site)));
        }
        disk.head = theirs;
        disk.phantom = phantom;
        disk.standby = false;
        disk.clean = None;
    }

    async fn reach(self: &Rc<Self>, agent: &Proc, source: usize) -> Result<(), &'static str> {
        let answer = self
            .call(agent, self.sites[source].postgres, CONNECT, move |proc, reply| async move {
                if proc.sim.pg(source).is_ready() {
                    reply.send(());
                }
            })
            .await;
        answer.ok_or("reach the source")
    }

    /// Takes the time of a transfer; fails if the source ends or is cut off meanwhile.
    async fn transfer(
        &self,
        agent: &Proc,
        source: usize,
        millis: std::ops::Range<u64>,
    ) -> Result<(), &'static str> {
        let life = self.exec.lives(self.sites[source].postgres);
        let end = agent.now() + Duration::from_millis(self.exec.pick(millis));
        while agent.now() < end {
            agent.sleep(Duration::from_millis(50)).await;
            let there = self.exec.node(self.sites[source].postgres);
            let apart = self.net.is_cut(agent.node, there) || self.net.is_cut(there, agent.node);
            if apart || self.exec.lives(self.sites[source].postgres) != life {
                return Err("keep the connection to the source");
            }
        }
        Ok(())
    }
}
