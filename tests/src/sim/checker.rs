//! What must always hold, checked at the moment it could break.
//!
//! The simulation sees what no actor sees: the true order of events. So an acknowledgement counts
//! from the moment the gate lets it pass, whether or not its user ever hears of it.

use std::collections::BTreeMap;

use topology::invariant::{Acknowledged, Invariant, Violation, single_writer};
use topology::snapshot::RoutedCell;
use topology::wire::agent::TenureName;
use topology::{Epoch, Phase};

use super::Sim;
use super::client::{OpId, Request, What};
use super::wal::{At, Relation};

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub strong: u64,
    pub weak: u64,
    pub reads: u64,
    pub elections: u64,
    pub promotions: u64,
    pub moves: u64,
    /// Planned moves whose site was left without a clean stop.
    pub abandoned: u64,
    pub voters_changed: u64,
}

#[derive(Default)]
pub struct Checker {
    pub violation: Option<Violation>,
    pub counts: Counts,
    /// The rows that each key has had, in any history.
    rows: Vec<Vec<At>>,
    /// The furthest strong write that was acknowledged, or seen by a strong read.
    frontier: At,
    /// The furthest weak write acknowledged since the last epoch was opened.
    weak: At,
    /// Whether whoever is elected has had the word of whoever acknowledged the weak ones.
    weak_survives: bool,
    elected: BTreeMap<Epoch, bool>,
    active: Option<usize>,
    /// Who may serve under each epoch.
    holders: BTreeMap<Epoch, usize>,
    /// The latest epoch that has acknowledged anything, where, and when it began to.
    last_ack: Option<(Epoch, usize, u64)>,
    standing: BTreeMap<usize, Epoch>,
    /// The latest epoch for which each site has told its frozen place.
    frozen: BTreeMap<usize, Epoch>,
    answered: Vec<(Epoch, usize, u64, u64)>,
    /// When a strong write that was begun after this was answered, the cell serves again.
    pub healed: Option<u64>,
    pub served_again: Option<u64>,
}

impl Checker {
    /// Begins an operation with a key of its own.
    pub fn begin(&mut self) -> OpId {
        self.rows.push(Vec::new());
        self.rows.len() - 1
    }

    pub fn wrote(&mut self, op: OpId, at: At) {
        self.rows[op].push(at);
    }

    /// Returns the row of a key in a history.
    pub fn row(&self, op: OpId, is_in: impl Fn(At) -> bool) -> Option<At> {
        self.rows[op].iter().copied().find(|at| is_in(*at))
    }

    #[must_use]
    pub fn frontier(&self) -> At {
        self.frontier
    }
}

impl Sim {
    pub fn violated(&self, invariant: Invariant, witness: impl FnOnce() -> String) {
        let mut checker = self.checker.borrow_mut();
        if checker.violation.is_none() {
            let violation = Violation { invariant, witness: witness() };
            self.trace(|| format!("VIOLATED {}: {}", violation.invariant, violation.witness));
            checker.violation = Some(violation);
        }
    }

    /// The record has been replaced: its epoch may not go back, and each has one holder (I2). Who is
    /// to be promoted has no predecessor with a right any more (I3).
    pub fn record_changed(&self, before: Option<&RoutedCell>, after: &RoutedCell) {
        let activation = &after.activation;
        self.trace(|| format!("record: {activation}, voters {:?}", activation.voters));
        if let Some(before) = before {
            let before = &before.activation;
            if activation.epoch < before.epoch {
                let (from, to) = (before.epoch, activation.epoch);
                self.violated(Invariant::I2, || format!("the record went from {from} to {to}"));
            }
            let mut checker = self.checker.borrow_mut();
            if before.voters != activation.voters && before.epoch == activation.epoch {
                checker.counts.voters_changed += 1;
            }
        }
        match &activation.phase {
            Phase::Electing { .. } => self.checker.borrow_mut().counts.elections += 1,
            Phase::Switching { .. } => self.checker.borrow_mut().counts.moves += 1,
            Phase::Promoting { active } | Phase::Steady { active } => {
                let site = self.index(active);
                self.holds(activation.epoch, site);
                if matches!(activation.phase, Phase::Promoting { .. }) {
                    self.check_rights(site, activation.epoch);
                    let mut checker = self.checker.borrow_mut();
                    let kept = checker.elected.get(&activation.epoch).copied();
                    let in_place = kept.is_none() && checker.active == Some(site);
                    checker.weak_survives &= kept.unwrap_or(in_place);
                }
            }
        }
    }

    /// A control plane has decided who is promoted under an epoch.
    pub fn check_elected(&self, epoch: Epoch, has_predecessor: bool) {
        self.checker.borrow_mut().elected.insert(epoch, has_predecessor);
    }

    fn holds(&self, epoch: Epoch, site: usize) {
        let holder = *self.checker.borrow_mut().holders.entry(epoch).or_insert(site);
        if holder != site {
            let (one, other) = (self.name(holder), self.name(site));
            self.violated(Invariant::I2, || format!("epoch {epoch} is used by {one} and {other}"));
        }
    }

    /// A site begins to claim a right.
    pub fn check_epoch(&self, site: usize, epoch: Epoch) {
        self.holds(epoch, site);
    }

    /// What an agent stands for never goes back while it runs, nor after (I2).
    pub fn check_standing(&self, site: usize, epoch: Epoch) {
        let last = self.checker.borrow_mut().standing.insert(site, epoch).unwrap_or_default();
        if epoch < last && epoch > Epoch(0) {
            let name = self.name(site);
            self.violated(Invariant::I2, || format!("{name} went from {last} back to {epoch}"));
        }
    }

    /// A site has told how far it is: from now on it takes nothing of that epoch or before (I5), and
    /// is on nobody's side who holds an earlier one (I2).
    pub fn check_frozen(&self, site: usize, epoch: Epoch) {
        let before = self.checker.borrow().frozen.get(&site).copied().unwrap_or_default();
        if epoch < before {
            let name = self.name(site);
            self.violated(Invariant::I2, || format!("{name} voted for {epoch} after {before}"));
        }
        self.checker.borrow_mut().frozen.insert(site, epoch.max(before));
    }

    /// A voter has promised something to whoever holds an epoch (I2).
    pub fn check_promised(&self, site: usize, epoch: Epoch) {
        let voted = self.checker.borrow().frozen.get(&site).copied().unwrap_or_default();
        if epoch < voted {
            let name = self.name(site);
            self.violated(Invariant::I2, || {
                format!("{name} promised to keep epoch {epoch} after it had voted for {voted}")
            });
        }
    }

    /// A standby has flushed what came under an epoch's name (I5).
    pub fn check_received(&self, site: usize, epoch: u64) {
        let voted = self.checker.borrow().frozen.get(&site).copied().unwrap_or_default();
        if Epoch(epoch) <= voted {
            let name = self.name(site);
            self.violated(Invariant::I5, || {
                format!("{name} has taken WAL of epoch {epoch} after its vote for {voted}")
            });
        }
    }

    /// Nobody but `site` may have a right left (I3). What a gateway was last told is no right once its
    /// server has stopped, as in a hand-over that did not wait for it: nothing new can come of it.
    fn check_rights(&self, site: usize, epoch: Epoch) {
        for (index, other) in self.sites.iter().enumerate().filter(|(index, _)| *index != site) {
            let now = self.exec.boot_time(index);
            let told = self.is_primary(index)
                && other.right.get().is_some_and(|right| match right.tenure {
                    TenureName::Serving | TenureName::Draining => now < right.until,
                    TenureName::Standby | TenureName::Fenced => false,
                });
            let shared = other.shared.borrow().clone();
            let held = shared.is_some_and(|shared| now < shared.valid_until());
            if told || held {
                let (old, new) = (self.name(index), self.name(site));
                let whose = if told { "gateway" } else { "agent" };
                self.violated(Invariant::I3, || {
                    format!("{new} is promoted under {epoch} while {old}'s {whose} has a right")
                });
            }
        }
    }

    fn is_primary(&self, site: usize) -> bool {
        self.pg(site).is_running() && !self.pg(site).is_standby()
    }

    /// A server has become primary: it has everything acknowledged (I5), and nobody else a right (I3).
    pub fn check_promoted(&self, site: usize) {
        self.checker.borrow_mut().counts.promotions += 1;
        let shared = self.sites[site].shared.borrow().clone();
        let epoch = shared.map(|shared| shared.standing.borrow().epoch).unwrap_or_default();
        self.trace(|| {
            let head = self.wal.record(self.pg(site).head());
            let (name, timeline, lsn) = (self.name(site), head.timeline, head.lsn);
            format!("{name}: promoted for {epoch}, at {timeline}/{lsn}")
        });
        // One that stood still in the middle of it, and finishes when its epoch is over, is stopped by
        // its guard, and has no right.
        let holds = {
            let stored = self.etcd.stored.borrow();
            let holder = stored.cell.as_ref().and_then(|kept| kept.value.activation.holder());
            holder == Some(&self.sites[site].region)
        };
        if holds {
            self.check_rights(site, epoch);
            self.check_has_everything(site, "promoted");
        }
    }

    fn check_has_everything(&self, site: usize, how: &str) {
        let frontier = self.checker.borrow().frontier;
        if !self.wal.has(self.pg(site).head(), frontier) {
            let (name, lost) = (self.name(site), self.wal.record(frontier));
            self.violated(Invariant::I5, || {
                let (timeline, lsn) = (lost.timeline, lost.lsn);
                format!("{name} is {how} without a strong write that was acknowledged at {timeline}/{lsn}")
            });
        }
    }

    /// A site answers from now on; one whose right is over by now will not.
    pub fn check_opened(&self, site: usize, epoch: Epoch, strong: bool) {
        let shared = self.sites[site].shared.borrow().clone();
        if shared.is_none_or(|shared| self.exec.boot_time(site) >= shared.valid_until()) {
            return;
        }
        self.trace(|| format!("{}: open, {epoch}, strong: {strong}", self.name(site)));
        self.check_has_everything(site, "opened");
        let (weak, survives) = {
            let checker = self.checker.borrow();
            (checker.weak, checker.weak_survives)
        };
        if survives && !self.wal.has(self.pg(site).head(), weak) {
            let name = self.name(site);
            self.violated(Invariant::I5, || {
                format!("{name} is opened without a weak write, though its site was asked")
            });
        }
        let mut checker = self.checker.borrow_mut();
        if !survives {
            checker.weak = 0;
        }
        checker.weak_survives = true;
        checker.active = Some(site);
    }

    /// The gate has let an acknowledgement pass (I1, I5). A gateway that stood still may be late with
    /// what its server did before it stopped; never with what was asked after a later epoch answered.
    pub fn check_acknowledged(&self, site: usize, epoch: Epoch, request: &Request, at: At) {
        let now = self.exec.now();
        let last = self.checker.borrow().last_ack;
        match last {
            Some((before, where_, since))
                if epoch < before && (request.sent > since || self.is_primary(site)) =>
            {
                let (old, new) = (self.name(where_), self.name(site));
                self.violated(Invariant::I1, || {
                    format!("{new} acknowledged under {epoch} after {old} had under {before}")
                });
            }
            Some((before, where_, _)) if epoch == before && site != where_ => {
                let (one, other) = (self.name(where_), self.name(site));
                self.violated(Invariant::I1, || {
                    format!("{one} and {other} acknowledged under {epoch}")
                });
            }
            Some((before, ..)) if epoch <= before => {}
            Some(_) | None => self.checker.borrow_mut().last_ack = Some((epoch, site, now)),
        }
        let what = request.what;
        if what == What::Weak {
            let mut checker = self.checker.borrow_mut();
            checker.counts.weak += 1;
            if self.wal.compare(checker.weak, at) == Relation::Within {
                checker.weak = at;
            }
            return;
        }
        self.checker.borrow_mut().counts.strong += 1;
        self.must_survive(site, at, "acknowledged");
    }

    /// From now on every history must have this record.
    fn must_survive(&self, site: usize, at: At, how: &str) {
        let frontier = self.checker.borrow().frontier;
        match self.wal.compare(at, frontier) {
            Relation::Within => {}
            Relation::Beyond => self.checker.borrow_mut().frontier = at,
            Relation::Diverged => {
                let name = self.name(site);
                self.violated(Invariant::I5, || {
                    format!("{name} {how} a strong write of a history without an earlier one")
                });
            }
        }
    }

    /// The gate has let the answer of a read pass. Behind the barrier it shows everything that was
    /// acknowledged before it was asked, and nothing that can be lost.
    pub fn check_read(
        &self,
        site: usize,
        request: &Request,
        open: bool,
        head: At,
        newest: Option<At>,
    ) {
        self.checker.borrow_mut().counts.reads += 1;
        if !open {
            return;
        }
        if !self.wal.has(head, request.before) {
            let name = self.name(site);
            self.violated(Invariant::I1, || format!("{name} answered a read from an old history"));
        }
        if let Some(newest) = newest {
            self.must_survive(site, newest, "showed");
        }
    }

    /// A user has heard an answer.
    pub fn check_answered(&self, what: What, epoch: Epoch, site: usize, (began, sent): (u64, u64)) {
        let now = self.exec.now();
        let mut checker = self.checker.borrow_mut();
        if what != What::Read {
            checker.answered.push((epoch, site, sent, now));
        }
        if what == What::Strong && checker.healed.is_some_and(|healed| began > healed) {
            checker.served_again.get_or_insert(now);
        }
    }

    /// Checks what only the whole shows.
    pub fn check_history(&self) {
        let answered = std::mem::take(&mut self.checker.borrow_mut().answered);
        let acknowledged: Vec<Acknowledged> = answered
            .into_iter()
            .map(|(epoch, site, sent, answered)| Acknowledged {
                cell: self.cell.clone(),
                epoch,
                region: self.sites[site].region.clone(),
                sent,
                answered,
            })
            .collect();
        for violation in single_writer(&acknowledged) {
            self.violated(violation.invariant, || violation.witness.clone());
        }
    }
}
