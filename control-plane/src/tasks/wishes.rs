//! Tells what becomes of what people asked for, from what is read of it: every control plane tells
//! everything, whoever carries it out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::Board;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::decide::State;
use crate::decide::happenings::wishes::{Turn, Wishes, of_operation, vanished};
use crate::decide::operation::Operation;
use crate::event_log::EventLog;
use crate::store::etcd::Store;

/// Pause after etcd has not said how an operation ended.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells until stopped.
pub async fn tell(
    store: Store,
    mut state: watch::Receiver<Arc<State>>,
    log: EventLog,
    board: Board,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut before: Option<Wishes> = None;
    // Put away before they were seen to end. No more than go on at once.
    let mut unknown: BTreeMap<String, Arc<Operation>> = BTreeMap::new();
    loop {
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return Ok(()) },
            () = sleep(AGAIN), if !unknown.is_empty() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let seen = Arc::clone(&state.borrow_and_update());
        if seen.read_at().is_none() {
            continue;
        }
        let now = Wishes::of(seen.intent(), Instant::now());
        let turns = match &before {
            None => now.first_seen(),
            Some(before) if *before == now => Vec::new(),
            Some(before) => {
                let gone = now.gone_since(before).into_iter();
                unknown.extend(gone.map(|(id, operation)| (id.clone(), Arc::clone(operation))));
                now.since(before)
            }
        };
        before = Some(now);
        for turn in &turns {
            write(&log, turn);
        }
        if !unknown.is_empty() {
            let told = how_they_ended(&store, &log, &mut unknown).await;
            board.record("tell how operations ended", told.map_err(|err| err.to_string()));
        }
    }
}

async fn how_they_ended(
    store: &Store,
    log: &EventLog,
    unknown: &mut BTreeMap<String, Arc<Operation>>,
) -> Result<(), client::etcd::EtcdError> {
    while let Some((id, last)) = unknown.first_key_value() {
        let ended = store.ended_operation(id).await?;
        let turns = ended
            .map_or_else(|| vec![vanished(id, last)], |ended| of_operation(id, &ended, Some(last)));
        for turn in &turns {
            write(log, turn);
        }
        unknown.pop_first();
    }
    Ok(())
}

fn write(log: &EventLog, turn: &Turn) {
    let Turn { kind, operation, cell, region, reason, .. } = turn;
    let cell = cell.as_ref().map(ToString::to_string);
    let region = region.as_ref().map(ToString::to_string);
    info!(event = kind.name(), operation, cell, region, reason, "seen");
    log.write_turn(turn);
}
