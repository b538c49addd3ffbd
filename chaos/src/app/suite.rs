//! `chaos suite`: says what a suite will do, and does it.

use std::path::Path;

use anyhow::Context as _;
use runtime::clock;
use serde_json::json;

use super::follow::Follow;
use crate::cli::{PlaceArgs, SuiteArgs, SuiteCommand, SuiteName};
use crate::control_plane::ControlPlane;
use crate::exit::Exit;
use crate::lever;
use crate::platform::Platform;
use crate::suite::coverage::{coverage, lines, plan, table};
use crate::suite::due::World;
use crate::suite::incident::{Sight, before};
use crate::suite::past::{Entry, Past};
use crate::suite::tied::Tied;
use crate::suite::{SUITES, Suite};
use crate::terminal::{complain, print};

const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// What became of this many of the last ones is told with the plan.
const TOLD: usize = 10;

pub(super) async fn suite(args: &SuiteArgs) -> anyhow::Result<Exit> {
    match &args.how {
        SuiteCommand::Check(SuiteName { suite }) => match read(suite)? {
            Ok(suite) => check(&suite),
            Err(exit) => Ok(exit),
        },
        SuiteCommand::Plan { suite, place, weeks, json } => match read(&suite.suite)? {
            Ok(suite) => show(&suite, place, *weeks, *json).await,
            Err(exit) => Ok(exit),
        },
        SuiteCommand::Run { suite, place, environment, once, tied_to } => {
            match read(&suite.suite)? {
                Ok(suite) => {
                    let run_dir = runtime::run_dir::run_dir(place.run_dir.clone())?;
                    let environment = environment.clone();
                    let tied = tied_to.clone().map(Tied::to).transpose()?;
                    // On the heap: a run inside is large.
                    Box::pin(Follow::new(suite, run_dir, environment, *once).run(tied)).await
                }
                Err(exit) => Ok(exit),
            }
        }
    }
}

/// Reads what was asked for; what is wrong with it is said here.
fn read(asked: &str) -> anyhow::Result<Result<Suite, Exit>> {
    let path = Path::new(asked);
    let (name, text) = match SUITES.iter().find(|(name, _)| *name == asked) {
        Some((name, text)) => ((*name).to_owned(), (*text).to_owned()),
        None if path.exists() => {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let text = std::fs::read_to_string(path).with_context(|| format!("read {asked}"))?;
            (name.unwrap_or_default(), text)
        }
        None => {
            let names = SUITES.map(|(name, _)| name).join(", ");
            complain(&format!("no suite and no file is called {asked}; the suites are {names}"));
            return Ok(Err(Exit::Invalid));
        }
    };
    Ok(Suite::parse(&name, &text).map_err(|findings| {
        for finding in findings {
            complain(&format!("{asked}:{finding}"));
        }
        Exit::Invalid
    }))
}

fn check(suite: &Suite) -> anyhow::Result<Exit> {
    let now = clock::unix_millis();
    let mut exit = Exit::Pass;
    for item in &suite.items {
        let name = &item.drill.name;
        if let Some(next) = suite.next(item, now) {
            print(&format!("{name:<25} {}", clock::utc(next)))?;
        } else {
            complain(&format!("{name}: \"{}\" is never within a window", item.cron));
            exit = Exit::Invalid;
        }
    }
    if exit == Exit::Pass {
        print(&format!("{}: no findings; {}", suite.name, suite.title))?;
    }
    Ok(exit)
}

async fn show(suite: &Suite, place: &PlaceArgs, weeks: u64, json: bool) -> anyhow::Result<Exit> {
    let run_dir = runtime::run_dir::run_dir(place.run_dir.clone())?;
    let (world, _) = match look(&run_dir, suite).await {
        Ok(seen) => seen,
        Err(why) => {
            complain(&format!("whom a drill would hit is not known: {why}"));
            return Ok(Exit::Unsteady);
        }
    };
    let past = Past::read(&run_dir, &suite.name)?;
    let now = clock::unix_millis();
    let planned = plan(suite, &world, past.entries(), now, now + weeks * WEEK_MS);
    let planned = planned.map_err(anyhow::Error::msg).context("plan the suite")?;
    let squares = coverage(suite, &world, past.entries(), &planned);
    let skip = past.entries().len().saturating_sub(TOLD);
    if json {
        let document = json!({ "suite": suite.name, "runs": planned, "coverage": squares,
            "past": past.entries() });
        print(&document.to_string())?;
        return Ok(Exit::Pass);
    }
    print(&format!("{}: {}\n", suite.name, suite.title))?;
    for line in lines(&planned) {
        print(&line)?;
    }
    print("\nlast rehearsed (or to come):\n")?;
    for line in table(&squares) {
        print(&line)?;
    }
    if !past.entries().is_empty() {
        print("\nwhat became of the last ones:\n")?;
    }
    for entry in &past.entries()[skip..] {
        print(&told(entry))?;
    }
    Ok(Exit::Pass)
}

pub(super) fn told(entry: &Entry) -> String {
    let Entry { drill, due_unix_ms, target, outcome, why, .. } = entry;
    let target = target.as_ref().map_or_else(String::new, |target| format!(" of {target}"));
    let why = why.first().map_or_else(String::new, |why| format!(": {why}"));
    format!("{}  {drill}{target} {}{why}", clock::utc(*due_unix_ms), outcome.name())
}

/// Looks at the platform, or says why that cannot be.
pub(super) async fn look(run_dir: &Path, suite: &Suite) -> Result<(World, Sight), String> {
    let failed = |err: anyhow::Error| format!("failed to {err:#}");
    let Some(platform) = Platform::find(run_dir).map_err(failed)? else {
        return Err(format!("no platform runs in {}", run_dir.display()));
    };
    let control_plane = ControlPlane::new(&platform, None).map_err(failed)?;
    let cells = control_plane.cells().await.map_err(failed)?;
    let alerts = control_plane.alerts().await.map_err(failed)?;
    let sight = Sight::new(alerts, &cells);
    let lever = lever::look(run_dir, Some(&platform)).await;
    let pulled = lever.pulled().map(|why| format!("the lever is pulled ({why})"));
    let alarm = pulled.or_else(|| before(&sight, &suite.alarms));
    Ok((World { cells, offers: platform.offers(), alarm }, sight))
}
