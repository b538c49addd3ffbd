//! The snapshot in use, swapped whole: a request sees one version from start to end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use client::follow::Followed;
use http::HeaderValue;
use tokio::sync::watch;
use tokio::time::Instant;
use topology::wire::hint::Hint;
use topology::{CellId, Phase, Snapshot, Version};
use tracing::info;

use crate::cell::{Cell, Memory};
use crate::decide::aim::Aim;
use crate::decide::hold::Target;
use crate::decide::stale::{Asked, Occasion, standbys};
use crate::defect;
use crate::mutual::Mutual;
use crate::site::Site;

/// Holds the table; read without a lock.
pub(crate) struct Table {
    applied: ArcSwapOption<Applied>,
    changed: watch::Sender<()>,
    /// What sites have said of cells of which etcd has not, yet. Whoever changes the table holds it.
    heard: Mutex<BTreeMap<CellId, Hint>>,
    refused: ArcSwapOption<String>,
    /// How sites are talked to.
    mutual: Option<Mutual>,
}

/// What a request is for, and of which user it is.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) aim: &'a Aim,
    pub(crate) user: &'a HeaderValue,
}

/// A snapshot, ready to be routed by.
pub(crate) struct Applied {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Since when etcd has not confirmed it; none while it does.
    pub(crate) stale_since: Option<Instant>,
    /// The generation whose placement and addresses these are, while a person has it so.
    pub(crate) rolled_back_to: Option<Version>,
    cells: BTreeMap<CellId, Cell>,
    mutual: Option<Mutual>,
    /// The same by the placement's numbers, so that a lookup is two array indices however many cells
    /// there are; none for a cell without slots that is not listed.
    owners: Vec<Option<(CellId, Cell)>>,
}

impl Table {
    pub(crate) fn new(mutual: Option<Mutual>) -> Self {
        let (applied, refused) = (ArcSwapOption::empty(), ArcSwapOption::empty());
        let (changed, heard) = (watch::channel(()).0, Mutex::default());
        Self { applied, changed, heard, refused, mutual }
    }

    pub(crate) fn current(&self) -> Option<Arc<Applied>> {
        self.applied.load_full()
    }

    /// Notes the last snapshot that was not put to use, for people.
    pub(crate) fn refuse(&self, why: Option<String>) {
        self.refused.store(why.map(Arc::new));
    }

    pub(crate) fn last_refused(&self) -> Option<Arc<String>> {
        self.refused.load_full()
    }

    /// Returns what is marked changed at each snapshot applied from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits for the first snapshot.
    pub(crate) async fn filled(&self) {
        let mut changes = self.changes();
        // An error means that the table is gone, and with it everybody who waits.
        while self.current().is_none() && changes.changed().await.is_ok() {}
    }

    /// Ends the streams of all sites, whose clients come back on new connections.
    pub(crate) fn end_streams(&self) {
        let Some(applied) = self.current() else { return };
        for site in applied.cells.values().filter_map(|cell| cell.site.as_ref()) {
            site.end_streams();
        }
    }

    /// Puts a snapshot to use. Whether it may replace the last was decided by who followed it; of a
    /// cell of which a site knows more, the site's word stays (I2).
    pub(crate) fn apply(&self, followed: &Followed, now: Instant) {
        let mut heard = self.heard();
        heard.retain(|id, hint| is_ahead(&followed.snapshot, id, hint));
        let rolled_back_to = followed.rolled_back.as_ref().map(|back| back.to);
        self.put(with(&followed.snapshot, &heard), followed.stale, rolled_back_to, now);
    }

    /// Takes a site's word for who serves its cell, if that is under a later epoch. It is checked
    /// where it leads: the gateway there refuses what is under an epoch that is not its own.
    pub(crate) fn hear(&self, id: &CellId, hint: Hint, now: Instant) {
        let mut heard = self.heard();
        let Some(before) = self.current() else { return };
        if !is_ahead(&before.snapshot, id, &hint) {
            return;
        }
        info!(cell = %id, epoch = %hint.epoch, region = %hint.region, "a site said who serves");
        heard.insert(id.clone(), hint);
        let is_stale = before.stale_since.is_some();
        self.put(with(&before.snapshot, &heard), is_stale, before.rolled_back_to, now);
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<CellId, Hint>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Routes by this snapshot from now on, and ends the connections of epochs that have a successor.
    fn put(
        &self,
        snapshot: Arc<Snapshot>,
        is_stale: bool,
        rolled_back_to: Option<Version>,
        now: Instant,
    ) {
        let before = self.current();
        let stale_since =
            is_stale.then(|| before.as_ref().and_then(|before| before.stale_since).unwrap_or(now));
        let mut ended = Vec::new();
        let cells: BTreeMap<CellId, Cell> = snapshot
            .cells
            .keys()
            .map(|id| {
                let last = before.as_ref().and_then(|before| before.cells.get(id));
                let (cell, over) = follow_on(id, &snapshot, last, self.mutual.as_ref());
                ended.extend(over);
                (id.clone(), cell)
            })
            .collect();
        let owner = |id: &CellId| cells.get(id).map(|cell| (id.clone(), cell.clone()));
        let owners = snapshot.placement.cells().iter().map(owner).collect();
        let mutual = self.mutual.clone();
        let applied = Applied { snapshot, stale_since, rolled_back_to, cells, mutual, owners };
        self.applied.store(Some(Arc::new(applied)));
        self.changed.send_replace(());
        // Applied first: who is told that an epoch has ended finds the next one.
        for site in ended.iter().filter(|_| !defect::epoch_is_ignored()) {
            site.end();
        }
    }
}

/// Returns whether a site knows of a later epoch of a cell than a snapshot, which has the way there.
fn is_ahead(snapshot: &Snapshot, id: &CellId, hint: &Hint) -> bool {
    snapshot.cells.get(id).is_some_and(|cell| {
        cell.activation.epoch < hint.epoch && cell.gateways.contains_key(&hint.region)
    })
}

/// Returns a snapshot with what sites have said.
fn with(snapshot: &Arc<Snapshot>, heard: &BTreeMap<CellId, Hint>) -> Arc<Snapshot> {
    if heard.is_empty() {
        return Arc::clone(snapshot);
    }
    let mut snapshot = Snapshot::clone(snapshot);
    for (id, hint) in heard {
        if let Some(cell) = snapshot.cells.get_mut(id) {
            cell.activation.epoch = hint.epoch;
            cell.activation.phase = Phase::Steady { active: hint.region.clone() };
            "a site that does not serve any more said so".clone_into(&mut cell.activation.reason);
        }
    }
    Arc::new(snapshot)
}

/// Returns a cell by this snapshot, and the site whose epoch is over by it.
fn follow_on(
    id: &CellId,
    snapshot: &Snapshot,
    last: Option<&Cell>,
    mutual: Option<&Mutual>,
) -> (Cell, Option<Arc<Site>>) {
    let memory = last.map_or_else(Arc::<Memory>::default, |last| Arc::clone(&last.memory));
    let site = last.and_then(|last| last.site.clone());
    let routed = &snapshot.cells[id];
    let epoch = routed.activation.epoch;
    let active =
        routed.activation.serving().and_then(|region| routed.gateways.get_key_value(region));
    let Some((region, gateway)) = active else {
        return (Cell { memory, site, epoch, is_served: false }, None);
    };
    match site {
        Some(same) if same.epoch == epoch && same.gateway == *gateway => {
            (Cell { memory, site: Some(same), epoch, is_served: true }, None)
        }
        over => {
            let next = Arc::new(Site::new(id.clone(), region, epoch, *gateway, mutual.cloned()));
            (Cell { memory, site: Some(next), epoch, is_served: true }, over)
        }
    }
}

impl Applied {
    /// Returns the standby that is to be asked next for an old answer.
    pub(crate) fn standby(
        &self,
        whose: Whose<'_>,
        occasion: Occasion,
        asked: &mut Asked,
    ) -> Option<Site> {
        let (target, _) = self.find(whose)?;
        let cell = &self.snapshot.cells[target.cell];
        let region = asked.next(occasion, &standbys(cell))?;
        let (gateway, mutual) = (cell.gateways[region], self.mutual.clone());
        Some(Site::standby(target.cell.clone(), region, target.epoch, gateway, mutual))
    }

    /// Returns where a request goes: its cell, and the site if one is active; none where it is for a
    /// cell that is gone.
    pub(crate) fn find(&self, whose: Whose<'_>) -> Option<(Target<'_>, &Cell)> {
        let placement = &self.snapshot.placement;
        let owner = match whose.aim {
            Aim::Own(slot) if placement.overrides().len() > 0 => {
                // An id that is not UTF-8 is nobody's who lives apart.
                let user = std::str::from_utf8(whose.user.as_bytes()).unwrap_or_default();
                placement.owner_of_user(user, *slot)
            }
            Aim::Own(slot) | Aim::Thing(slot) => placement.owners()[usize::from(slot.number())],
            Aim::Cell(cell) | Aim::Apart(cell, _) => {
                return self.cells.get_key_value(cell).map(|(id, cell)| found(id, cell));
            }
        };
        self.owners[usize::from(owner)].as_ref().map(|(id, cell)| found(id, cell))
    }
}

fn found<'a>(id: &'a CellId, cell: &'a Cell) -> (Target<'a>, &'a Cell) {
    (Target { cell: id, epoch: cell.epoch, has_site: cell.is_served }, cell)
}

#[cfg(test)]
mod tests;
