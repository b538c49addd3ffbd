//! `platform up`: check, prepare, start, wait, say what to try, and stay.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::telemetry::{self, Telemetry};
use runtime::{Tasks, stop_asked};
use tokio_util::sync::CancellationToken;
use topology::{Role, Spec};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::app::Outcome;
use crate::cli::{BackgroundArgs, UpArgs, WorldArgs};
use crate::clocks::Clocks;
use crate::decide::change::changes;
use crate::decide::plan::plan;
use crate::decide::readiness::CellSeen;
use crate::disk::{SpecFile, World, applied_spec, read_spec};
use crate::launch::Start;
use crate::preflight::{self, Programs};
use crate::readiness::Observer;
use crate::report::Report;
use crate::run_dir::{Lock, RunDir};
use crate::supervise::{STOP_PATIENCE, Supervisor};
use crate::token::Bearer;
use crate::volumes::Volumes;
use crate::wan::inits::Inits;
use crate::wan::namespaces::Namespaces;
use crate::{detach, environment, secrets, terminal, token, volumes};

/// The spec may be read by everybody.
const SPEC_MODE: u32 = 0o644;
/// Whose conversation the printed example is.
const EXAMPLE_USER: &str = "alice";
/// How long the printed example works.
const EXAMPLE_TIME: Duration = Duration::from_hours(24);

/// Who hears of a start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// A person at a terminal.
    Person,
    /// A program that reads one JSON document.
    Program,
    /// Nobody but the log.
    Log,
}

pub(crate) async fn up(args: UpArgs) -> anyhow::Result<Outcome> {
    let Some((spec, text)) = accepted(&args.spec, args.world.wan)? else {
        return Ok(Outcome::Findings);
    };
    let run_dir = RunDir::find(args.place.run_dir)?;
    let audience = if args.json { Audience::Program } else { Audience::Person };
    let (programs, lock) = admit(&spec, &args.world, &run_dir)?;
    volumes::unmount_left(&run_dir).context("unmount what an earlier start has left")?;
    if args.fresh {
        run_dir.forget().context("forget the earlier run")?;
    }
    prepare(&spec, &text, &run_dir)?;
    if args.detach {
        // The background process takes it.
        drop(lock);
        let (cells, supervisor) = detach::start(&args.spec, &args.world, &spec, &run_dir).await?;
        say(&spec, &run_dir, &cells, supervisor, audience)?;
    } else {
        stay(spec, &args.world, &run_dir, programs, audience).await?;
    }
    Ok(Outcome::Done)
}

/// Does what `up` does in front, in a session of its own.
pub(crate) async fn background(args: BackgroundArgs) -> anyhow::Result<Outcome> {
    rustix::process::setsid().context("leave the terminal's session")?;
    let Some((spec, text)) = accepted(&args.spec, args.world.wan)? else {
        return Ok(Outcome::Findings);
    };
    let run_dir = RunDir::find(Some(args.run_dir))?;
    let (programs, _lock) = admit(&spec, &args.world, &run_dir)?;
    prepare(&spec, &text, &run_dir)?;
    stay(spec, &args.world, &run_dir, programs, Audience::Log).await?;
    Ok(Outcome::Done)
}

/// Returns the spec; `None` when it has findings, which have been said.
fn accepted(path: &Path, wan: bool) -> anyhow::Result<Option<(Spec, String)>> {
    let world = if wan { World::Emulated } else { World::AsWritten };
    match read_spec(path, world)? {
        SpecFile::Good { spec, text } => Ok(Some((*spec, text))),
        SpecFile::Bad(lines) => {
            terminal::note(&lines.join("\n"));
            Ok(None)
        }
    }
}

/// Finds every obstacle before anything is changed.
fn admit(spec: &Spec, world: &WorldArgs, run_dir: &RunDir) -> anyhow::Result<(Programs, Lock)> {
    if let Some(supervisor) = run_dir.supervisor()? {
        bail!(
            "start in {}: a platform runs there already, process {}; see `platform status`, stop \
             it with `platform down`",
            run_dir.path().display(),
            supervisor.pid
        );
    }
    let programs = preflight::check(spec, world, run_dir).map_err(|problems| {
        anyhow::anyhow!("start the platform; nothing was started:\n  {}", problems.join("\n  "))
    })?;
    Ok((programs, run_dir.lock()?))
}

/// Makes folders and secrets, and keeps the spec the data belongs to.
fn prepare(spec: &Spec, text: &str, run_dir: &RunDir) -> anyhow::Result<()> {
    if let Some(applied) = applied_spec(run_dir)? {
        let changes = changes(&applied, spec);
        if !changes.is_empty() {
            bail!(
                "use the data in {}, which is of another platform:\n  {}\n\
                 start with --fresh to delete it, or name another --run-dir",
                run_dir.path().display(),
                changes.join("\n  ")
            );
        }
    }
    run_dir.create(spec.cells.iter().map(|cell| &cell.id))?;
    run_dir.forget_holds()?;
    secrets::create(run_dir, spec)?;
    environment::create(run_dir)?;
    let path = run_dir.spec();
    runtime::file::replace(&path, text.as_bytes(), SPEC_MODE)
        .with_context(|| format!("write {}", path.display()))
}

/// Runs the fleet until asked to stop.
async fn stay(
    spec: Spec,
    world: &WorldArgs,
    run_dir: &RunDir,
    programs: Programs,
    audience: Audience,
) -> anyhow::Result<()> {
    let _telemetry = log(audience)?;
    let namespaces = match spec.wan.as_ref().filter(|_| spec.is_emulated) {
        Some(wan) => Namespaces::make(&spec, wan)?,
        None => Namespaces::default(),
    };
    run_dir.forget_clocks()?;
    let clocks = if world.clocks { Some(Clocks::make(&spec, run_dir)?) } else { None };
    let volumes =
        Volumes::mount(&spec, run_dir, world.volumes).context("give databases volumes")?;
    // They have the volumes among their mounts, and so end before these.
    let inits = Inits::make(&programs.platform, namespaces.ends())?;
    let start = Start { programs, namespaces, inits, clocks, run_dir: run_dir.clone() };
    let supervisor = Supervisor::new(start, plan(&spec, run_dir, world.drills.as_deref()));
    let place = run_dir.clone();
    let mut tasks = Tasks::default();
    tasks.start("supervise the fleet", |stop| supervisor.run(stop));
    tasks.start("start the platform", |stop| async move {
        if let Some(cells) = served(&spec, &place, &stop).await? {
            say(&spec, &place, &cells, std::process::id(), audience)?;
        }
        stop.cancelled().await;
        terminal::note("stopping");
        Ok(())
    });
    let stopped = tasks.run(stop_asked(), STOP_PATIENCE).await;
    drop(volumes);
    stopped?;
    terminal::note("stopped");
    Ok(())
}

/// Returns the cells once they serve; `None` if asked to stop before.
async fn served(
    spec: &Spec,
    run_dir: &RunDir,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Vec<CellSeen>>> {
    let observer = Observer::new(spec, run_dir)?;
    tokio::select! {
        cells = observer.wait(|| Ok(())) => cells.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

/// In the background, JSON lines as every process writes; in front, only what a person must know.
fn log(audience: Audience) -> anyhow::Result<Option<Telemetry>> {
    if audience == Audience::Log {
        return telemetry::start("bulkhead-platform", "platform", None).map(Some);
    }
    let filter = EnvFilter::try_from_env("BULKHEAD_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .compact()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|err| anyhow::anyhow!("start logging: {err}"))?;
    Ok(None)
}

fn say(
    spec: &Spec,
    run_dir: &RunDir,
    cells: &[CellSeen],
    supervisor: u32,
    audience: Audience,
) -> anyhow::Result<()> {
    let bearer = Bearer { user: EXAMPLE_USER, role: Role::Contact, cells: &[] };
    let token = token::development(run_dir, &bearer, EXAMPLE_TIME)?;
    let report = Report { spec, run_dir, cells, supervisor, token: &token };
    match audience {
        Audience::Person => terminal::print(&report.text()),
        Audience::Program => terminal::print(&format!("{:#}", report.json())),
        Audience::Log => {
            info!(cells = cells.len(), "platform serves");
            Ok(())
        }
    }
}
