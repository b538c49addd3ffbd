//! Answers the calls only the keeper may answer: votes and hand-overs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::clock::BootTime;
use tokio::sync::oneshot;
use topology::wire::agent::{HandOverReply, HandOverRequest, VoteReply, VoteRequest};
use topology::{Epoch, Phase};
use tracing::info;

use super::abandon::has_bad_disk;
use super::{Frozen, Keeper, Stopped, Tools};
use crate::agent::calls::Call;
use crate::agent::decide::right::promise_for_voter;
use crate::agent::decide::tenure::Event;
use crate::agent::follow_cell;
use crate::agent::postgres::{Position, Stop, Upstream};
use crate::agent::shared::Known;

/// A predecessor's server is stopped at once: what is acknowledged is on disk.
const STOP_LIMIT: Duration = Duration::from_millis(500);
/// Longer than this a move is not held up by what only makes it shorter; it goes on by itself.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(2);

impl Keeper {
    pub(super) async fn answer(&mut self, call: Call) {
        match call {
            Call::Vote(request, reply) => {
                let answer = self
                    .vote(&request)
                    .await
                    .unwrap_or_else(|err| VoteReply::Refused { reason: format!("{err:#}") });
                info!(epoch = request.epoch, dry = request.dry, answer = ?answer, "asked to vote");
                // Whoever asked may have given up: the vote stands all the same.
                drop(reply.send(answer));
            }
            Call::HandOver(request, reply) => self.hand_over_asked(&request, reply).await,
        }
    }

    async fn vote(&mut self, request: &VoteRequest) -> anyhow::Result<VoteReply> {
        let epoch = Epoch(request.epoch);
        let lasts = promise_for_voter(&self.tools.site.spec.lease);
        let then =
            if request.dry { Duration::from_millis(request.ahead_ms) } else { Duration::ZERO };
        self.tools.shared.voter().may_vote(epoch, BootTime::now() + then, lasts)?;
        ensure!(self.tools.postgres.has_data(), "vote without data");
        let rebuilding = self.work.as_ref().is_some_and(|work| work.rebuilding);
        ensure!(!rebuilding, "vote while the data is being rebuilt");
        if request.dry {
            let is_primary = self.serving.is_some() || self.tools.postgres.was_primary();
            ensure!(!is_primary || request.predecessor, "vote while serving");
            return Ok(VoteReply::Willing);
        }
        if self.serving.is_some() || self.tools.postgres.was_primary() {
            ensure!(request.predecessor, "vote while serving");
            self.make_sure_it_is_over(epoch).await?;
            self.end_serving(Event::Superseded).await;
            self.tools.postgres.stop(Stop::Immediate, STOP_LIMIT).await?;
        }
        if let Some(lsn) = request.after_lsn
            && let Err(err) = self.tools.postgres.comes_to(lsn).await
        {
            info!(%epoch, error = format!("{err:#}"), "freezing with less");
        }
        // A promise may have been given since it was asked first: the predecessor took time to stop.
        self.tools.shared.voter().begin_vote(epoch, BootTime::now(), lasts)?;
        self.ballot.write(epoch)?;
        self.tools.shared.voter().has_voted(epoch);
        self.work = None;
        self.stream.forget();
        let postgres = &self.tools.postgres;
        if !postgres.is_running() {
            postgres.start_standby(&Upstream::nowhere()).await?;
        }
        let position = postgres.freeze().await?;
        let place = postgres.located(position);
        let at = BootTime::now();
        self.frozen = place.map(|place| Frozen { epoch, place, at });
        let system = postgres.sql.system().await?;
        let Position { timeline, lsn } = position;
        Ok(VoteReply::Frozen { system, timeline, begun: place.map(|place| place.begun), lsn })
    }

    /// A healthy primary is not stopped on anybody's word: the record itself must say so.
    async fn make_sure_it_is_over(&mut self, epoch: Epoch) -> anyhow::Result<()> {
        let tools = &self.tools;
        follow_cell::read(&tools.site.id.cell, &tools.etcd, &tools.shared).await?;
        let known = tools.shared.known.borrow();
        let activation = known.as_ref().context("know the cell's record")?.activation();
        let over = matches!(activation.phase, Phase::Electing { .. }) && activation.epoch >= epoch;
        ensure!(over, "vote in an election that the cell's record does not show");
        Ok(())
    }

    async fn hand_over_asked(
        &mut self,
        request: &HandOverRequest,
        reply: oneshot::Sender<HandOverReply>,
    ) {
        let epoch = Epoch(request.epoch);
        if request.prepare {
            drop(reply.send(prepare(&self.tools).await));
            return;
        }
        if let Some(Stopped { end, .. }) = self.stopped.filter(|stopped| stopped.epoch == epoch) {
            drop(reply.send(super::stopped(end)));
            return;
        }
        self.waiting.push(reply);
        let tools = &self.tools;
        let announced = |known: &Option<Known>| {
            known.as_ref().is_some_and(|known| {
                let activation = known.activation();
                matches!(activation.phase, Phase::Switching { .. }) && activation.epoch == epoch
            })
        };
        // Users wait: what has been heard of already is not asked for, nor waited for longer than that.
        let mut known = tools.shared.known.subscribe();
        let read = tokio::select! {
            biased;
            Ok(_) = known.wait_for(announced) => Ok(None),
            read = follow_cell::read(&tools.site.id.cell, &tools.etcd, &tools.shared) => read,
        };
        let expected = announced(&tools.shared.known.borrow());
        if !expected {
            let reason = match read {
                Ok(_) => "the cell's record shows no such move".to_owned(),
                Err(err) => format!("{err:#}"),
            };
            self.reply_hand_over(&HandOverReply::Refused { reason });
        }
    }
}

/// What is written now need not be written while nobody serves.
async fn prepare(tools: &Tools) -> HandOverReply {
    if has_bad_disk(tools) {
        let reason = "the disk is slow or full, and a checkpoint would make it worse".to_owned();
        return HandOverReply::Refused { reason };
    }
    let checkpoint = tools.postgres.sql.execute("CHECKPOINT");
    match tokio::time::timeout(CHECKPOINT_LIMIT, checkpoint).await {
        Ok(Ok(())) => HandOverReply::Prepared,
        Ok(Err(err)) => HandOverReply::Refused { reason: format!("{err:#}") },
        Err(_elapsed) => HandOverReply::Refused { reason: "the checkpoint is slow".to_owned() },
    }
}
