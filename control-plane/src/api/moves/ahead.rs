//! What moving a cell would come to, without moving it.

use axum::response::{IntoResponse as _, Json, Response};
use runtime::Problem;
use tokio::time::Instant;
use topology::{CellId, RegionId, SiteId};

use super::super::{Api, error};
use crate::decide::asked_failover::outlook::{Outlook, outlook};
use crate::decide::asked_failover::{self, Asked};
use crate::decide::operation::{Goal, Move, What};
use crate::decide::plan::Plan;
use crate::decide::safety::{Broken, Rule};
use crate::decide::{Policy, State};
use crate::levers::preview::{Ahead, preview};
use crate::levers::{self, history};
use crate::tasks::fail_over::Unelected;

pub(super) async fn switchover(api: &Api, site: &SiteId) -> Result<Response, Problem> {
    let state = levers::fresh(api).await?;
    let goal = Goal::Switchover(site.clone());
    let Plan { waves, mut broken, .. } = levers::planned(&goal, &state, &api.spec);
    let SiteId { cell, region: to } = site;
    if let Err(refusal) = crate::decide::switchover::check(&state, cell, to) {
        if !state.cells().contains_key(cell) {
            return Err(error::unknown_cell(cell.as_str()));
        }
        broken.push(Broken { rule: Rule::NoReadySite, detail: refusal.to_string() });
    }
    told(api, &state, cell, (&waves, &broken), None).await
}

/// Who would win is known when the voters have been asked; nobody is asked here.
pub(super) async fn failover(api: &Api, asked: &Asked) -> Result<Response, Problem> {
    let state = levers::fresh(api).await?;
    let policy = Policy::new(&api.spec, &api.vantage);
    let seen = asked_failover::check(&state, &policy, asked, Instant::now())
        .map_err(|refusal| error::unelected(&asked.cell, &Unelected::Refused(refusal)))?;
    let moves = asked.to.as_ref().and_then(|to| planned(&state, &asked.cell, to));
    let waves = [moves.map(What::Move).into_iter().collect()];
    let loss = outlook(&state, &policy, (&asked.cell, seen), asked.to.as_ref());
    told(api, &state, &asked.cell, (&waves, &[]), Some(loss)).await
}

async fn told(
    api: &Api,
    state: &State,
    cell: &CellId,
    (waves, broken): (&[Vec<What>], &[Broken]),
    loss: Option<Outlook>,
) -> Result<Response, Problem> {
    let history = history::read(api).await?;
    let epoch = state.cells().get(cell).map(|seen| seen.routed.activation.epoch);
    let etag = format!("\"{}\"", epoch.unwrap_or_default());
    let ahead = Ahead { waves, broken, also: vec![cell], loss, etag };
    Ok(Json(preview(ahead, state, &api.spec, &history)).into_response())
}

fn planned(state: &State, cell: &CellId, to: &RegionId) -> Option<Move> {
    let activation = &state.cells().get(cell)?.routed.activation;
    let from = activation.holder()?.clone();
    Some(Move { cell: cell.clone(), from, to: to.clone(), epoch: activation.epoch })
}
