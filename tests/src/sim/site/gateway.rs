//! The site's gateway and the services behind it: `cell::gateway`, whose decisions it calls before
//! the work and after it.

use std::rc::Rc;

use cell::gateway::decide::admit::{Mode, Own, Right, Said, Strength, admit, may_acknowledge};
use topology::Epoch;

use super::Shared;
use crate::sim::client::{Answer, Request, What};
use crate::sim::pg::commit::Committed;
use crate::sim::sabotage::Sabotage;
use crate::sim::{Proc, Sim};

/// Hears from the agent what right the site has; what was heard last stays in force.
pub async fn follow_right(gateway: Proc, site: usize, shared: Rc<Shared>) {
    let mut line = shared.tenure.subscribe();
    loop {
        let told = Right::from(&*line.borrow_and_update());
        gateway.sleep(std::time::Duration::from_micros(gateway.sim.exec.pick(30..600))).await;
        gateway.sim.sites[site].right.set(Some(told));
        line.changed().await;
    }
}

struct InFlight(Rc<Sim>, usize);

impl InFlight {
    fn begin(sim: &Rc<Sim>, site: usize) -> Self {
        let count = &sim.sites[site].in_flight;
        count.set(count.get() + 1);
        Self(Rc::clone(sim), site)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let count = &self.0.sites[self.1].in_flight;
        count.set(count.get().saturating_sub(1));
    }
}

/// Serves one request from admission to answer.
pub async fn serve(gateway: &Proc, site: usize, request: Request) -> Answer {
    let sim = Rc::clone(&gateway.sim);
    let _in_flight = InFlight::begin(&sim, site);
    sim.dawdle(gateway, site).await;
    let epoch = request.epoch.to_string();
    let said = Said {
        role: None,
        user: Some(sim.users.name.as_str()),
        slot: Some(sim.users.slot.as_str()),
        cell: Some(sim.cell.as_str()),
        epoch: Some(&epoch),
        stale_ok: false,
    };
    let own = Own {
        cell: &sim.cell,
        placement: Some(&sim.placement),
        right: sim.sites[site].right.get(),
    };
    let Ok(admitted) = admit(said, own, gateway.now()) else { return Answer::Refused };
    // Nobody here asks for stale reads.
    let Mode::Serve { open, strength } = admitted.mode else { return Answer::Refused };
    // Strong writes and their replays wait for the barrier, and for enough voters.
    if request.what == What::Strong && (!open || strength != Strength::Now) {
        return Answer::Refused;
    }
    match request.what {
        What::Strong | What::Weak => {
            let strong = request.what == What::Strong;
            let committed = sim.pg_write(gateway, site, request.op, strong).await;
            let Some(committed) = committed else { return Answer::Unknown };
            if !may_answer(gateway, site, admitted.epoch) {
                return Answer::Unknown;
            }
            let (Committed::New(at) | Committed::Found(at)) = committed;
            sim.check_acknowledged(site, admitted.epoch, &request, at);
        }
        What::Read => {
            let Some((head, newest)) = sim.pg_read(gateway, site).await else {
                return Answer::Unknown;
            };
            if !may_answer(gateway, site, admitted.epoch) {
                return Answer::Unknown;
            }
            sim.check_read(site, &request, open, head, newest);
        }
    }
    Answer::Done { epoch: admitted.epoch, site }
}

impl Sim {
    /// Takes the time that a site takes for nothing.
    pub async fn dawdle(&self, gateway: &Proc, site: usize) {
        let slow = self.sites[site].slow.get();
        if slow > 0 {
            gateway.sleep(std::time::Duration::from_millis(slow)).await;
        }
    }
}

/// The gate: checked after the work, before the answer.
fn may_answer(gateway: &Proc, site: usize, epoch: Epoch) -> bool {
    let right = gateway.sim.sites[site].right.get();
    gateway.sim.sabotaged(Sabotage::GateNotCheckedAfterwards)
        || may_acknowledge(epoch, right, gateway.now())
}
