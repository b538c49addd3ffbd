//! What others ask an agent: `cell::agent::calls`.

use std::rc::Rc;
use std::time::Duration;

use cell::agent::decide::right::promise_for_voter;
use topology::wire::agent::{HandOverReply, HandOverRequest, VoteReply, VoteRequest};
use topology::wire::report::SiteReport;
use topology::{Epoch, Phase, RegionId};

use super::Shared;
use crate::sim::net::Reply;
use crate::sim::{Proc, Sim};

pub const CALLS: usize = 16;

pub enum Call {
    Vote(VoteRequest, Reply<VoteReply>),
    HandOver(HandOverRequest, Reply<HandOverReply>),
}

impl Sim {
    fn agent(&self, site: usize) -> Option<Rc<Shared>> {
        self.sites[site].shared.borrow().clone()
    }

    /// Answers a request for a promise, or a release; returns whether it is granted.
    pub fn promise(&self, site: usize, from: usize, epoch: Epoch, release: bool) -> bool {
        let Some(shared) = self.agent(site) else { return false };
        let from = &self.sites[from].region;
        if release {
            shared.voter.borrow_mut().release(from, epoch);
            return false;
        }
        let known = contender(&shared, from);
        let lasts = promise_for_voter(&self.policy);
        let now = self.exec.boot_time(site);
        let granted = shared.voter.borrow_mut().promise(from, epoch, known, now, lasts).is_ok();
        if granted {
            self.check_promised(site, epoch);
        }
        granted
    }

    /// Asks a site's agent for a vote. No answer is no vote.
    pub async fn ask_vote(
        self: &Rc<Self>,
        from: &Proc,
        site: usize,
        request: VoteRequest,
        limit: Duration,
    ) -> VoteReply {
        let asked = self.call(from, self.sites[site].agent, limit, move |proc, reply| {
            let request = request.clone();
            async move { proc.sim.hand_to_keeper(site, Call::Vote(request, reply)) }
        });
        asked.await.unwrap_or_else(|| VoteReply::Refused { reason: "no answer".to_owned() })
    }

    /// Asks the active site to stop cleanly. No answer is no hand-over.
    pub async fn ask_hand_over(
        self: &Rc<Self>,
        from: &Proc,
        site: usize,
        epoch: Epoch,
    ) -> HandOverReply {
        let limit = Duration::from_secs(3);
        let asked = self.call(from, self.sites[site].agent, limit, move |proc, reply| async move {
            let request = HandOverRequest { cell: "c1".to_owned(), epoch: epoch.0, prepare: false };
            proc.sim.hand_to_keeper(site, Call::HandOver(request, reply));
        });
        let refused = || HandOverReply::Refused { reason: "no answer".to_owned() };
        asked.await.unwrap_or_else(refused)
    }

    fn hand_to_keeper(&self, site: usize, call: Call) {
        if let Some(shared) = self.agent(site) {
            // A full queue: the asker hears nothing in time.
            drop(shared.calls.try_send(call));
        }
    }

    /// Asks a site's agent how it is.
    pub async fn probe(self: &Rc<Self>, from: &Proc, site: usize) -> Option<SiteReport> {
        let limit = Duration::from_millis(400);
        self.call(from, self.sites[site].agent, limit, move |proc, reply| async move {
            let shared = proc.sim.agent(site);
            let report = shared.and_then(|shared| shared.report.borrow().clone());
            if let Some(report) = report {
                reply.send(report);
            }
        })
        .await
    }
}

/// Returns the latest epoch known in which a site other than `from` may serve.
fn contender(shared: &Shared, from: &RegionId) -> Epoch {
    let known = shared.known.borrow();
    let Some(activation) = known.as_ref().map(super::Known::activation) else { return Epoch(0) };
    match &activation.phase {
        Phase::Steady { active }
        | Phase::Promoting { active }
        | Phase::Switching { active, .. }
            if active == from =>
        {
            Epoch(0)
        }
        Phase::Steady { .. }
        | Phase::Promoting { .. }
        | Phase::Switching { .. }
        | Phase::Electing { .. } => activation.epoch,
    }
}
