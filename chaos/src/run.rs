//! Runs a drill, phase by phase: preflight, baseline, inject, verify, observe, heal, settle, check.
//!
//! One thread of story, so one `async fn` per phase. Whatever ends it early, what was done is taken
//! away then, by the journal; what was seen until then is judged all the same.

mod direct;
mod live;
mod method;
mod observe;
mod preflight;
mod progress;
mod settled;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use runtime::{Tasks, stop_asked};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use topology::CellId;

use self::preflight::Ready;
use crate::control_plane::ControlPlane;
use crate::course::{CleanUp, Course, Doubts};
use crate::drill::{Drill, Fault};
use crate::guard::{self, Guard, SILENCE};
use crate::history::{Clock, User};
use crate::journal::Watching;
use crate::load::{self, Client};
use crate::metrics::{Measure, Value, metrics};
use crate::platform::Platform;
use crate::recorder::Recorder;
use crate::safeguard::Safeguard;
use crate::suite::watch::Watch;
use crate::terminal::Terminal;
use crate::{doubts, events, final_reads, lever, logs, lost_writes, recover, sweep, verdict};

/// How long redundancy may take to come back where the drill sets no limit.
const SETTLE: Duration = Duration::from_mins(1);
const SETTLE_PAUSE: Duration = Duration::from_millis(250);
/// Requests in flight end by their own timeout; nothing else has to be waited for.
const GRACE: Duration = Duration::from_secs(2);
/// Users of each cell that the guard asks for: it needs to know of the cell, not of each of them.
const WATCHED: usize = 5;

/// What a run needs throughout.
pub(crate) struct Run<'a> {
    pub(crate) id: &'a str,
    pub(crate) drill: &'a Drill,
    pub(crate) platform: &'a Platform,
    pub(crate) terminal: Terminal,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    /// Stops it for a real incident, and when nobody has it run any more; where a person is there, that one does.
    pub(crate) watch: Option<&'a Watch>,
}

/// Runs the drill, and returns what happened. It does not fail: what goes wrong is part of it.
pub(crate) async fn run(run: &Run<'_>) -> Course {
    let mut course = Course { is_repeated: run.drill.repeat.is_some(), ..Course::default() };
    // Always there, wherever the report goes: whoever recovers looks here.
    let folder = run.platform.drills().join(run.id);
    let command = guard::command(None, &folder, SILENCE);
    match Safeguard::start(&folder, run.id, command, SILENCE).await {
        Ok((safeguard, guard)) => guarded(run, &mut course, safeguard, guard).await,
        Err(err) => course.harness = Some(format!("failed to {err:#}")),
    }
    gather(run, &mut course);
    course
}

async fn guarded(run: &Run<'_>, course: &mut Course, safeguard: Safeguard, mut guard: Guard) {
    let ended = tokio::select! {
        biased;
        why = ended_early(run, &mut guard) => {
            run.terminal.line(&format!("{why}; what was done is taken away"));
            course.aborted = Some(why);
            Ok(())
        }
        ended = phases(run, course, &safeguard) => ended,
    };
    if let Err(err) = ended {
        course.harness = Some(format!("failed to {err:#}"));
    }
    let healed = safeguard.heal(|| ());
    let told = safeguard.close();
    let let_go = guard.let_go().await;
    let left = recover::check(&run.platform.run_dir);
    let errors =
        [healed.as_ref().err(), let_go.as_ref().err(), told.as_ref().err(), left.as_ref().err()];
    course.residue.extend(errors.into_iter().flatten().map(|err| format!("{err:#}")));
    course.residue.extend(healed.into_iter().flatten());
    course.residue.extend(left.into_iter().flatten());
    course.residue.extend(still_drained(run).await);
    course.clean_up = told.ok().map(|told| CleanUp {
        undone: told.reverted,
        looked_for: sweep::LOOKED_FOR.map(str::to_owned).into(),
    });
}

/// An evacuation that was begun goes on by itself, whatever becomes of the run: what it has drained is
/// for a person to let in again.
async fn still_drained(run: &Run<'_>) -> Vec<String> {
    let evacuates =
        run.drill.actions.iter().any(|action| matches!(action.fault, Fault::Evacuate { .. }));
    if !evacuates {
        return Vec::new();
    }
    let asked = match ControlPlane::new(run.platform, None) {
        Ok(control_plane) => control_plane.drained().await,
        Err(err) => Err(err),
    };
    match asked {
        Ok(drained) => drained
            .into_iter()
            .map(|region| {
                format!("{region} is drained; bulkhead restore {region} lets it in again")
            })
            .collect(),
        Err(err) => vec![format!("whether a region is drained: {err:#}")],
    }
}

/// Returns only when the run must not go on, and why.
async fn ended_early(run: &Run<'_>, guard: &mut Guard) -> String {
    let lever = lever::until_pulled(run.platform, |said| run.terminal.line(said));
    let watched = async {
        match run.watch {
            Some(watch) => watch.ended(run.platform).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = stop_asked() => "stopped by a signal".to_owned(),
        why = lever => format!("stopped by the lever: {why}"),
        why = watched => why,
        why = guard.keep() => why,
    }
}

async fn phases(run: &Run<'_>, course: &mut Course, safeguard: &Safeguard) -> anyhow::Result<()> {
    let Some(ready) = preflight::preflight(run, course).await? else { return Ok(()) };
    let logs = run.platform.logs();
    let logs_begun = logs::begin(&logs).context("note where the logs end")?;
    safeguard.watching(watching(run.drill, &course.users))?;
    let client = Arc::clone(&ready.client);
    let (load_stop, streams_stop) = (CancellationToken::new(), CancellationToken::new());
    let (drained, load_ended) = oneshot::channel();
    let (closed, streams_ended) = oneshot::channel();
    let streaming = load::streams::streaming(&course.users, run.drill.load.streams);

    let mut tasks = Tasks::default();
    let (follow_from, clock) = (ready.control_plane.clone(), run.clock);
    let recorder = run.recorder.clone();
    tasks.start("follow the events", |stop| events::follow(follow_from, clock, recorder, stop));
    let (driver, plan, seed) = (Arc::clone(&client), run.drill.load.clone(), run.drill.seed);
    let (recorder, stop_load) = (run.recorder.clone(), load_stop.clone());
    tasks.start("drive the load", |stop| async move {
        load::drive(&driver, &plan, seed, clock, &recorder, &stop_load).await;
        // Whoever waits for it may have gone already.
        if drained.send(()).is_err() {
            return Ok(());
        }
        stop.cancelled().await;
        Ok(())
    });
    let (holder, plan, who) = (Arc::clone(&client), run.drill.load.clone(), streaming.clone());
    let (recorder, stop_streams) = (run.recorder.clone(), streams_stop.clone());
    tasks.start("hold the streams", |stop| async move {
        load::streams::hold(&holder, &plan, &who, seed, clock, &recorder, &stop_streams).await;
        // Whoever waits for it may have gone already.
        if closed.send(()).is_err() {
            return Ok(());
        }
        stop.cancelled().await;
        Ok(())
    });

    let mut outcome = None;
    let story = async {
        let told = under_load(run, course, safeguard, &ready, &client).await;
        load_stop.cancel();
        let ended = load_ended.await.context("wait for the last answers");
        if !course.injections.is_empty() {
            load::streams::hear_out(&client, &streaming, &run.recorder).await;
        }
        streams_stop.cancel();
        let closed = streams_ended.await.context("wait until the streams are closed");
        outcome = Some(told.and(ended).and(closed));
    };
    tasks.run(story, GRACE).await?;
    outcome.context("see the drill to its end")??;

    if !course.injections.is_empty() {
        run.terminal.phase("check", "reading everything back");
        gather(run, course);
        course.final_state = final_reads::read(run.platform, &client, course).await;
        course.final_state.lost_writes =
            lost_writes::read(&ready.control_plane, client.run(), course).await;
        course.final_state.doubts = doubts(run, &ready.control_plane, course).await;
        let allowed = run.drill.allow_logs.clone();
        course.final_state.logs = Some(logs::read(logs, logs_begun, allowed).await);
    }
    Ok(())
}

/// Only where one was cut off: nobody else is asked to say anything of it.
async fn doubts(run: &Run<'_>, control_plane: &ControlPlane, course: &Course) -> Option<Doubts> {
    course.injections.iter().find(|injection| injection.observer.is_some())?;
    match doubts::read(control_plane, &run.clock, course).await {
        Ok(doubts) => Some(doubts),
        Err(err) => {
            run.terminal.line(&format!("whom the control planes doubt is not known: {err:#}"));
            None
        }
    }
}

/// Returns whom the guard asks for by itself, and what it stops the drill for.
fn watching(drill: &Drill, users: &[User]) -> Watching {
    let mut of_cells: BTreeMap<&CellId, Vec<&User>> = BTreeMap::new();
    for user in users {
        of_cells.entry(&user.cell).or_default().push(user);
    }
    let some = of_cells.into_values().flat_map(|users| users.into_iter().take(WATCHED));
    let users = some.map(|user| (user.name.clone(), user.cell.to_string())).collect();
    Watching { users, conditions: drill.stop_conditions.clone() }
}

/// Everything that happens while users are about.
async fn under_load(
    run: &Run<'_>,
    course: &mut Course,
    safeguard: &Safeguard,
    ready: &Ready,
    client: &Client,
) -> anyhow::Result<()> {
    let control_plane = &ready.control_plane;
    let before = run.drill.actions.first().map(|action| action.before).unwrap_or_default();
    let before = before + phase_offset(run);
    run.terminal.phase("baseline", &format!("{before:.1?} of load, nothing broken"));
    progress::wait(run, "baseline", before).await;
    gather(run, course);
    course.unsteady = verdict::unsteady(run.drill, &metrics(course));
    if !course.unsteady.is_empty() {
        return Ok(());
    }
    let cells = control_plane.cells().await?;
    course.before = cells.into_iter().map(|cell| (cell.id, cell.tally)).collect();

    let acted = method::act(run, course, safeguard, ready).await;
    if course.injections.is_empty() {
        return acted;
    }
    run.terminal.phase("heal", "everything may go on and start again");
    let heal = async {
        if course.injections.iter().any(|injection| !injection.frozen.is_empty()) {
            sleep(direct::ARRIVE).await;
        }
        (safeguard.heal(|| ()), run.clock.now())
    };
    let ((healed, at), asked) = tokio::join!(heal, direct::ask(run, client, course));
    // What could not be taken away is tried again in the end, and told then.
    healed?;
    course.healed = Some(at);
    if let (Some(told), Some(last)) = (direct::told(&asked), course.injections.last_mut()) {
        run.terminal.line(&told);
        last.proof.push(told);
    }
    course.direct = asked;
    settle(run, course, control_plane).await;
    if !run.drill.after_heal.is_zero() {
        let after = run.drill.after_heal;
        run.terminal.phase("after", &format!("{after:.1?} of load, all healed"));
        progress::wait(run, "after", after).await;
    }
    let cells = control_plane.cells().await.ok();
    course.after = cells.map(|cells| cells.into_iter().map(|cell| (cell.id, cell.tally)).collect());
    acted
}

/// Waits until every cell is redundant again, within bounds.
async fn settle(run: &Run<'_>, course: &mut Course, control_plane: &ControlPlane) {
    run.terminal.phase("settle", "until every cell is redundant");
    let limit = match run.drill.limits.get(&Measure::RedundancyRestored) {
        Some(Value::Time(limit)) => *limit,
        Some(Value::Count(_)) | None => SETTLE,
    };
    let due = Instant::now() + limit;
    while Instant::now() < due {
        let cells = control_plane.cells().await;
        if cells.is_ok_and(|cells| cells.iter().all(|cell| cell.redundant)) {
            course.redundant = Some(run.clock.now());
            return;
        }
        sleep(SETTLE_PAUSE).await;
    }
}

/// Up to one renewal of the lease, so that the time to detect does not depend on when the load
/// happened to begin.
fn phase_offset(run: &Run<'_>) -> Duration {
    let share = StdRng::seed_from_u64(run.drill.seed).random::<f64>();
    run.platform.spec.lease.renew.mul_f64(share)
}

/// Takes over what was recorded so far.
fn gather(run: &Run<'_>, course: &mut Course) {
    run.recorder.with(|record| {
        course.operations.clone_from(&record.operations);
        course.events.clone_from(&record.events);
        course.streams.clone_from(&record.streams);
        course.lags.clone_from(&record.lags);
    });
}
