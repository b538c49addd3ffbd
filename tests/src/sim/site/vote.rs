//! Votes and hand-overs, as the keeper answers them: `cell::agent::keep::vote`.

use std::rc::Rc;
use std::time::Duration;

use cell::agent::decide::right::promise_for_voter;
use cell::agent::decide::tenure::Event;
use topology::wire::agent::{HandOverReply, HandOverRequest, VoteReply, VoteRequest};
use topology::{Epoch, Phase};

use super::calls::Call;
use super::follow;
use super::keep::{Failure, Keeper, Tools};
use crate::sim::net::Reply;
use crate::sim::pg::{Conf, POLL, Stop, WAIT};
use crate::sim::sabotage::Sabotage;

const STOP_LIMIT: Duration = Duration::from_millis(500);
const ARRIVAL_LIMIT: Duration = Duration::from_millis(500);
const FREEZE_LIMIT: Duration = Duration::from_millis(1500);

impl Keeper {
    pub async fn answer(&mut self, call: Call) {
        match call {
            Call::Vote(request, reply) => {
                let answer = self
                    .vote(&request)
                    .await
                    .unwrap_or_else(|reason| VoteReply::Refused { reason });
                let tools = &self.tools;
                if !request.dry {
                    let name = tools.sim().name(tools.site);
                    tools
                        .sim()
                        .trace(|| format!("{name}: asked for {}: {answer:?}", request.epoch));
                }
                reply.send(answer);
            }
            Call::HandOver(request, reply) => self.hand_over_asked(&request, reply).await,
        }
    }

    async fn vote(&mut self, request: &VoteRequest) -> Result<VoteReply, String> {
        let epoch = Epoch(request.epoch);
        let tools = self.tools.clone();
        let (sim, proc, site) = (tools.sim(), &tools.proc, tools.site);
        let lasts = promise_for_voter(&sim.policy);
        let may = tools.shared.voter.borrow().may_vote(epoch, proc.now(), lasts);
        if !sim.sabotaged(Sabotage::VotesDespitePromise) {
            may.map_err(|refusal| refusal.to_string())?;
        }
        let ensure = |holds: bool, why: Failure| if holds { Ok(()) } else { Err(why.to_owned()) };
        let rebuilding = self.work.as_ref().is_some_and(|work| work.rebuilding);
        ensure(!rebuilding, "vote while the data is being rebuilt")?;
        if request.dry {
            ensure(self.serving.is_none() || request.predecessor, "vote while serving")?;
            return Ok(VoteReply::Willing);
        }
        if self.serving.is_some() || tools.pg().was_primary() {
            ensure(request.predecessor, "vote while serving")?;
            self.make_sure_it_is_over(epoch).await?;
            self.end_serving(Event::Superseded).await;
            sim.pg_stop(proc, site, Stop::Immediate, STOP_LIMIT).await;
        }
        if let Some(lsn) = request.after_lsn {
            let deadline = proc.now() + ARRIVAL_LIMIT;
            while sim.flushed(site) < lsn && proc.now() < deadline {
                proc.sleep(POLL).await;
            }
        }
        let begun = tools.shared.voter.borrow_mut().begin_vote(epoch, proc.now(), lasts);
        if !sim.sabotaged(Sabotage::VotesDespitePromise) {
            begun.map_err(|refusal| refusal.to_string())?;
        }
        if !sim.sabotaged(Sabotage::VoteNotOnDisk) {
            sim.sites[site].ballot.set(epoch.0.max(sim.sites[site].ballot.get()));
        }
        tools.shared.voter.borrow_mut().has_voted(epoch);
        self.work = None;
        self.stream.forget();
        if !tools.pg().is_running() {
            sim.pg_start_standby(proc, site, None).await?;
        }
        let (timeline, lsn) = freeze(&tools).await?;
        sim.check_frozen(site, epoch);
        self.voted = Some((epoch, proc.now()));
        Ok(VoteReply::Frozen { system: 1, timeline, begun: None, lsn })
    }

    async fn make_sure_it_is_over(&mut self, epoch: Epoch) -> Result<(), String> {
        if !follow::read(&self.tools).await {
            return Err("read the cell's record".to_owned());
        }
        let known = self.tools.shared.known.borrow();
        let activation = known.as_ref().ok_or("know the cell's record")?.activation();
        let over = matches!(activation.phase, Phase::Electing { .. }) && activation.epoch >= epoch;
        if over { Ok(()) } else { Err("vote in an election that is not in the record".to_owned()) }
    }

    async fn hand_over_asked(&mut self, request: &HandOverRequest, reply: Reply<HandOverReply>) {
        let epoch = Epoch(request.epoch);
        if let Some((_, said)) = self.stopped.clone().filter(|(stopped, _)| *stopped == epoch) {
            reply.send(said);
            return;
        }
        self.waiting.push(reply);
        let shared = Rc::clone(&self.tools.shared);
        let announced = || {
            shared.known.borrow().as_ref().is_some_and(|known| {
                let activation = known.activation();
                matches!(activation.phase, Phase::Switching { .. }) && activation.epoch == epoch
            })
        };
        if !announced() {
            follow::read(&self.tools).await;
        }
        let expected = announced();
        if !expected {
            let reason = "the cell's record shows no such move".to_owned();
            self.reply_hand_over(&HandOverReply::Refused { reason });
        }
    }
}

/// Cuts the standby off, waits for what it received to be replayed, and returns its place.
async fn freeze(tools: &Tools) -> Result<(u32, u64), Failure> {
    let (sim, proc, site) = (tools.sim(), &tools.proc, tools.site);
    if !sim.sabotaged(Sabotage::VoteWithoutCut) {
        sim.configure(site, Conf::Upstream(None));
        let cut = async {
            // That settings are taken over before replay is at its end is not certain in the real
            // one, only very likely: it asks twice, and that takes longer.
            while tools.pg().is_streaming() || !tools.pg().is_cut() {
                proc.sleep(POLL).await;
            }
        };
        proc.timeout(FREEZE_LIMIT, cut).await.ok_or("see the WAL receiver end")?;
    }
    let replay = Duration::from_millis(sim.exec.pick(8..40));
    let asked = sim.call(proc, sim.sites[site].postgres, WAIT, move |proc, reply| async move {
        proc.sleep(replay).await;
        let sim = &proc.sim;
        if sim.pg(site).is_ready() {
            reply.send((sim.wal.timeline(sim.pg(site).head()), sim.flushed(site)));
        }
    });
    asked.await.ok_or("ask for the position")
}
