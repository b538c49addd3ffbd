//! A region's control plane: `control_plane::tasks::control`, with its reading and probing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use client::etcd::PutIf;
use control_plane::decide::{Action, Fact, Policy, State, decide, safety, switchover};
use control_plane::store::{Kept, Lease, Reading};
use tokio::sync::Notify;
use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::agent::TenureName;
use topology::{Activation, Epoch, RegionId, SiteId};

use super::elect::{self, Outcome};
use super::etcd::{Expected, Put, kept};
use super::exec::ProcId;
use super::switch::{self, Move};
use super::vantage;
use super::{Proc, Sim};

const TICK: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);
const READ: Duration = Duration::from_millis(500);
const PROBE: Duration = Duration::from_millis(250);
/// As the store tries a write again whose outcome is unknown.
const SETTLE: Duration = Duration::from_secs(5);

/// What outlives the process: its place. Its state is lost in a crash.
pub struct Controller {
    pub proc: ProcId,
    pub policy: Policy,
    pub state: RefCell<State>,
    /// Asks it to read at once.
    pub wake: Rc<Notify>,
    /// A planned move that somebody asked for.
    pub order: Cell<Option<usize>>,
    busy: RefCell<Busy>,
    stuck: Cell<Option<(Epoch, Instant)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    Free,
    Working,
    Until(Instant),
}

impl Controller {
    #[must_use]
    pub fn new(proc: ProcId, policy: Policy) -> Self {
        Self {
            proc,
            policy,
            state: RefCell::default(),
            wake: Rc::new(Notify::new()),
            order: Cell::new(None),
            busy: RefCell::new(Busy::Free),
            stuck: Cell::new(None),
        }
    }
}

/// What carrying a decision out needs.
#[derive(Clone)]
pub struct Hands {
    pub proc: Proc,
    pub controller: usize,
}

impl Sim {
    /// Starts a control plane that knows nothing yet.
    pub fn start_controller(self: &Rc<Self>, index: usize) {
        let controller = &self.controllers[index];
        self.exec.start(controller.proc);
        *controller.state.borrow_mut() = State::default();
        *controller.busy.borrow_mut() = Busy::Free;
        controller.stuck.set(None);
        let hands = Hands { proc: self.proc(controller.proc), controller: index };
        self.exec.spawn(controller.proc, control(hands.clone()));
        self.exec.spawn(controller.proc, read(hands.clone()));
        for site in 0..self.sites.len() {
            self.exec.spawn(controller.proc, probe(hands.clone(), site));
            self.exec.spawn(controller.proc, vantage::probe(hands.clone(), site));
        }
        self.exec.spawn(controller.proc, vantage::tell(hands));
    }
}

async fn control(hands: Hands) {
    let it = hands.controller();
    loop {
        hands.proc.sleep(TICK).await;
        if let Some(to) = it.order.take() {
            hands.ordered(to);
        }
        hands.keep_out();
        let actions = decide(&it.state.borrow(), &it.policy, hands.now());
        for action in actions {
            hands.begin(&action);
        }
    }
}

async fn read(hands: Hands) {
    let sim = &hands.proc.sim;
    loop {
        let fact = match sim.read(&hands.proc).await {
            Ok(stored) => {
                let cell = stored.cell.map(|it| kept(it.revision, RoutedCell::clone(&it.value)));
                let lease = stored.lease.map(|it| kept(it.revision, it.value));
                let vantages = stored
                    .vantages
                    .iter()
                    .map(|(index, report)| (sim.sites[*index].region.clone(), Arc::clone(report)));
                let router = stored.router.as_deref().cloned();
                Fact::Read(Reading {
                    vantages: vantages.collect(),
                    routers: router.map(|report| ("1".to_owned(), report)).into_iter().collect(),
                    cells: cell.map(|kept| (sim.cell.clone(), kept)).into_iter().collect(),
                    leases: lease.map(|kept| (sim.cell.clone(), kept)).into_iter().collect(),
                    ..Reading::default()
                })
            }
            Err(_unanswered) => Fact::ReadFailed,
        };
        hands.learn(fact);
        tokio::select! {
            biased;
            () = hands.controller().wake.notified() => {}
            () = hands.proc.sleep(READ) => {}
        }
    }
}

impl Sim {
    /// Says to every control plane that a renewal is being sent: `control_plane::tasks::renewals`.
    pub fn say_renewing(self: &Rc<Self>, from: &Proc, lease: &Lease) {
        for (index, controller) in self.controllers.iter().enumerate() {
            let (to, lives) = (controller.proc, self.exec.lives(controller.proc));
            let site = SiteId { cell: self.cell.clone(), region: lease.holder.clone() };
            let (epoch, sequence) = (lease.epoch, lease.sequence);
            let sim = Rc::clone(self);
            self.send(from.node, self.exec.node(to), move || {
                if sim.exec.is_down(to) || sim.exec.lives(to) != lives {
                    return;
                }
                let hands = Hands { proc: sim.proc(to), controller: index };
                let site = site.clone();
                sim.exec.spawn(to, async move {
                    hands.learn(Fact::Renewing { site, epoch, sequence });
                });
            });
        }
    }
}

async fn probe(hands: Hands, site: usize) {
    loop {
        let began = hands.proc.now();
        let answer = hands.proc.sim.probe(&hands.proc, site).await;
        let id = hands.proc.sim.site_id(site);
        hands.learn(Fact::Probed { site: id, answer });
        let took = hands.proc.now().since(began);
        hands.proc.sleep(PROBE.saturating_sub(took)).await;
    }
}

impl Hands {
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.proc.sim.controllers[self.controller]
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.controller().policy
    }

    /// Returns this machine's clock, as the control plane reads it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.proc.sim.base + Duration::from_nanos(self.proc.now().as_nanos())
    }

    pub async fn sleep_until(&self, until: Instant) {
        self.proc.sleep(until.saturating_duration_since(self.now())).await;
    }

    pub fn learn(&self, fact: Fact) {
        let violations = self.controller().state.borrow_mut().saw(fact, self.now());
        for violation in violations {
            self.proc.sim.violated(violation.invariant, || violation.witness.clone());
        }
    }

    fn begin(&self, action: &Action) {
        let now = self.now();
        match *self.controller().busy.borrow() {
            Busy::Working => return,
            Busy::Until(time) if now < time => return,
            Busy::Until(_) | Busy::Free => {}
        }
        let state = self.controller().state.borrow();
        let seen = state.cells().get(&self.proc.sim.cell).cloned();
        let (Some(seen), hands) = (seen, self.clone()) else { return };
        let name = format!("control plane {}", self.policy().vantage);
        match action {
            // There is one cell, which exists, nobody asks for the placement, and etcd does not go back.
            Action::CreatePlacement
            | Action::CreateCell { .. }
            | Action::Restore { .. }
            | Action::Freeze { .. } => {}
            Action::Relieve { from, to, .. } => {
                self.proc.sim.trace(|| format!("{name}: {action}"));
                let planned = Move { seen, from: from.clone(), to: to.clone() };
                self.work(async move { switch::switch(&hands, &planned).await });
            }
            Action::TakeOver { reason, .. } => {
                self.proc.sim.trace(|| format!("{name}: {action}"));
                let reason = reason.clone();
                self.work(async move { elect::take_over(&hands, &seen, &reason).await });
            }
            Action::PickUp { reason, .. } => {
                self.proc.sim.trace(|| format!("{name}: {action}"));
                let reason = reason.clone();
                self.work(async move { elect::elect(&hands, &seen, &reason, None).await });
            }
        }
    }

    /// Begins a planned move, if it may be.
    fn ordered(&self, to: usize) {
        let sim = &self.proc.sim;
        let to = sim.sites[to].region.clone();
        let state = self.controller().state.borrow();
        if *self.controller().busy.borrow() == Busy::Working {
            return;
        }
        let Ok(from) = switchover::check(&state, &sim.cell, &to) else { return };
        let Some(seen) = state.cells().get(&sim.cell).cloned() else { return };
        let (hands, planned) = (self.clone(), Move { seen, from, to });
        sim.trace(|| format!("planned move from {} to {}", planned.from, planned.to));
        self.work(async move { switch::switch(&hands, &planned).await });
    }

    /// Says in the cell's record what people want of a site, if that may be, until it does.
    fn keep_out(&self) {
        let sim = &self.proc.sim;
        let Some((site, out)) = sim.kept_out.get() else { return };
        let id = sim.site_id(site);
        let is_so = sim
            .etcd
            .stored
            .borrow()
            .cell
            .as_ref()
            .is_some_and(|kept| kept.value.activation.retired.contains(&id.region) == out);
        if is_so {
            sim.kept_out.set(None);
            return;
        }
        let state = self.controller().state.borrow();
        let Some(seen) = state.cells().get(&sim.cell).cloned() else { return };
        let is_busy = *self.controller().busy.borrow() == Busy::Working;
        if is_busy || (out && !safety::retired(&id, &state).is_empty()) {
            return;
        }
        let reason = if out { "kept out" } else { "let in again" };
        let next = seen.routed.activation.keep_out(&id.region, out, reason);
        let Some(next) = next else { return };
        let hands = self.clone();
        sim.trace(|| format!("{id} is {reason}"));
        self.work(async move {
            let expected = Expected { cell: seen.revision, lease: None };
            match hands.replace(&seen.routed, next, expected).await {
                Some(_) => Outcome::Won,
                None => Outcome::Overtaken,
            }
        });
    }

    fn work(&self, work: impl Future<Output = Outcome> + 'static) {
        *self.controller().busy.borrow_mut() = Busy::Working;
        let hands = self.clone();
        self.proc.sim.exec.spawn(self.proc.id, async move {
            let outcome = work.await;
            let now = hands.now();
            let pause = match outcome {
                Outcome::Unwilling if hands.is_stuck(now) => LATER,
                Outcome::Unwilling | Outcome::Won | Outcome::Overtaken => AGAIN,
            };
            *hands.controller().busy.borrow_mut() = Busy::Until(now + pause);
        });
    }

    fn is_stuck(&self, now: Instant) -> bool {
        let state = self.controller().state.borrow();
        let seen = state.cells().get(&self.proc.sim.cell);
        let epoch = seen.map(|seen| seen.routed.activation.epoch).unwrap_or_default();
        let since = match self.controller().stuck.get() {
            Some((stuck, since)) if stuck == epoch => since,
            Some(_) | None => now,
        };
        self.controller().stuck.set(Some((epoch, since)));
        now - since >= self.policy().lease.patience
    }

    /// Replaces the activation and makes that known here at once; `None` if somebody else was first.
    pub async fn replace(
        &self,
        routed: &RoutedCell,
        activation: Activation,
        expected: Expected,
    ) -> Option<Kept<RoutedCell>> {
        let value = Rc::new(RoutedCell { activation, gateways: BTreeMap::new() });
        debug_assert!(routed.gateways.is_empty());
        let begun = self.now();
        let revision = loop {
            let put = Put::Cell(Rc::clone(&value));
            match self.proc.sim.put_if(&self.proc, put, expected).await {
                Ok(PutIf::Done { revision }) => break revision,
                Ok(PutIf::Stale) => return None,
                Err(_unanswered) if self.now() - begun < SETTLE => self.proc.sleep(AGAIN).await,
                Err(_unanswered) => return None,
            }
        };
        let kept = kept(revision, RoutedCell::clone(&value));
        self.learn(Fact::Wrote { cell: self.proc.sim.cell.clone(), kept: kept.clone() });
        Some(kept)
    }

    fn site(&self, region: &RegionId) -> SiteId {
        SiteId { cell: self.proc.sim.cell.clone(), region: region.clone() }
    }

    #[must_use]
    pub fn is_reachable(&self, region: &RegionId) -> bool {
        let id = self.site(region);
        self.controller().state.borrow().site(&id.cell, &id.region).is_reachable()
    }

    #[must_use]
    pub fn says_it_serves(&self, region: &RegionId) -> bool {
        let id = self.site(region);
        let controller = self.controller();
        let state = controller.state.borrow();
        let site = state.site(&id.cell, &id.region);
        site.is_reachable()
            && site.report().is_some_and(|report| match report.tenure {
                TenureName::Serving | TenureName::Draining => true,
                TenureName::Standby | TenureName::Fenced => false,
            })
    }
}
