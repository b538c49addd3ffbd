//! `chaos suite`: says what a suite will do, and does it.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::drills::{self, Rehearsed};
use super::heal;
use crate::cli::{PlaceArgs, RunArgs, SuiteArgs, SuiteCommand, SuiteName};
use crate::control_plane::ControlPlane;
use crate::exit::Exit;
use crate::platform::Platform;
use crate::suite::coverage::{coverage, lines, plan, table};
use crate::suite::due::{Decision, World, decide};
use crate::suite::incident::{Sight, before};
use crate::suite::past::{Entry, Outcome, Past};
use crate::suite::rotation::Pick;
use crate::suite::watch::Watch;
use crate::suite::{Item, SUITES, Suite};
use crate::terminal::{Terminal, complain, print};
use crate::{lever, lock, logbook};

const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// What became of this many of the last ones is told with the plan.
const TOLD: usize = 10;
/// A clock that was set is noticed after this.
const NAP: Duration = Duration::from_mins(1);
/// Why a drill was interrupted that nobody lived to see the end of.
const ABANDONED: &str = "the suite ended in the middle of it";
/// A drill that was refused is tried again after this.
const REFUSED: Duration = Duration::from_secs(30);

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
        SuiteCommand::Run { suite, place, environment, once } => match read(&suite.suite)? {
            Ok(suite) => {
                let run_dir = runtime::run_dir::run_dir(place.run_dir.clone())?;
                let environment = environment.clone();
                Follow { suite, run_dir, environment, once: *once }.run().await
            }
            Err(exit) => Ok(exit),
        },
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

fn told(entry: &Entry) -> String {
    let Entry { drill, due_unix_ms, target, outcome, why, .. } = entry;
    let target = target.as_ref().map_or_else(String::new, |target| format!(" of {target}"));
    let why = why.first().map_or_else(String::new, |why| format!(": {why}"));
    format!("{}  {drill}{target} {}{why}", clock::utc(*due_unix_ms), outcome.name())
}

/// Looks at the platform, or says why that cannot be.
async fn look(run_dir: &Path, suite: &Suite) -> Result<(World, Sight), String> {
    let failed = |err: anyhow::Error| format!("failed to {err:#}");
    let Some(platform) = Platform::find(run_dir).map_err(failed)? else {
        return Err(format!("no platform runs in {}", run_dir.display()));
    };
    let control_plane = ControlPlane::new(&platform, None).map_err(failed)?;
    let cells = control_plane.cells().await.map_err(failed)?;
    let alerts = control_plane.alerts().await.map_err(failed)?;
    let sight = Sight::new(alerts, &cells);
    let pulled = lever::pulled(run_dir).map(|why| format!("the lever is pulled ({why})"));
    let alarm = pulled.or_else(|| before(&sight, &suite.alarms));
    Ok((World { cells, is_emulated: platform.spec.is_emulated, alarm }, sight))
}

/// A suite that is followed.
struct Follow {
    suite: Suite,
    run_dir: PathBuf,
    environment: Option<String>,
    /// Ends when nothing is due any more.
    once: bool,
}

impl Follow {
    async fn run(&self) -> anyhow::Result<Exit> {
        let Self { suite, run_dir, once, .. } = self;
        let doing = format!("chaos suite run {}", suite.name);
        let _lock = match lock::take(&Past::folder(run_dir), &doing)? {
            Ok(lock) => lock,
            Err(holder) => return Ok(heal::refused(run_dir, holder.as_ref())),
        };
        let mut past = Past::read(run_dir, &suite.name)?;
        if let Some(last) = past.entries().last().filter(|last| last.why == [ABANDONED]) {
            self.tell_platform(last).await;
        }
        let mut stop = pin!(runtime::stop_asked());
        let deadline = u64::try_from(suite.deadline.as_millis()).unwrap_or(u64::MAX);
        let since = clock::unix_millis().saturating_sub(deadline);
        let (mut worst, mut told_held) = (Exit::Pass, None);
        loop {
            // A signal that stopped a drill is for the suite too.
            if timeout(Duration::ZERO, &mut stop).await.is_ok() {
                return Ok(worst);
            }
            let now = clock::unix_millis();
            let seen = look(run_dir, suite).await;
            let world = seen.as_ref().map(|(world, _)| world).map_err(String::as_str);
            match decide(suite, world, past.entries(), since, now) {
                Decision::Begin { item, due, pick } => {
                    let first = seen.map(|(_, sight)| sight).unwrap_or_default();
                    let begun = begun(item, due, &pick, now);
                    past.push(begun.clone()).context("write down that the drill begins")?;
                    let (exit, why) = self.begin(item, pick, first).await;
                    worst = worst.max(exit);
                    if exit == Exit::Refused {
                        // Another drill runs, or none may: it is still due, until it is too late.
                        past.take_back(&begun.drill, due).context("write down that it waits")?;
                        if *once {
                            return Ok(worst);
                        }
                        tokio::select! {
                            () = &mut stop => return Ok(worst),
                            () = sleep(REFUSED) => continue,
                        }
                    }
                    let (outcome, ended_unix_ms) = (Outcome::of(exit), clock::unix_millis());
                    note(&mut past, Entry { ended_unix_ms, outcome, why, ..begun })?;
                }
                Decision::Skip { item, due, why } => {
                    let drill = item.drill.name.clone();
                    let entry = Entry {
                        drill,
                        due_unix_ms: due,
                        ended_unix_ms: now,
                        target: None,
                        seed: None,
                        outcome: Outcome::Skipped,
                        why: vec![why],
                    };
                    self.tell_platform(&entry).await;
                    note(&mut past, entry)?;
                }
                Decision::Wait { until, held } => {
                    if let Some(why) = held.as_ref().filter(|why| Some(*why) != told_held.as_ref())
                    {
                        complain(&format!("what is due waits: {why}"));
                    }
                    if *once {
                        // It is still due when the next one asks.
                        let refused = held.map(|_| Exit::Refused);
                        return Ok(refused.map_or(worst, |refused| refused.max(worst)));
                    }
                    told_held = held;
                    let nap = NAP.min(Duration::from_millis(until.saturating_sub(now)));
                    tokio::select! {
                        () = &mut stop => return Ok(worst),
                        () = sleep(nap) => {}
                    }
                }
            }
        }
    }

    /// Has the platform list what has no report. That it cannot is no reason not to go on.
    async fn tell_platform(&self, entry: &Entry) {
        let told = match Platform::find(&self.run_dir) {
            Ok(Some(platform)) => logbook::write_time(&platform, &self.suite, entry).await,
            Ok(None) => return,
            Err(err) => Err(err),
        };
        if let Err(err) = told {
            complain(&format!("the platform's list of drills lacks this: failed to {err:#}"));
        }
    }

    /// Runs a drill, and returns what became of it, and why.
    async fn begin(&self, item: &Item, pick: Pick, first: Sight) -> (Exit, Vec<String>) {
        let Pick { target, seed, hit } = pick;
        Terminal::Text.line(&format!("{} is due, and hits {target}", item.drill.name));
        let args = RunArgs {
            drill: item.drill.name.clone(),
            place: PlaceArgs { run_dir: Some(self.run_dir.clone()) },
            dry_run: false,
            environment: self.environment.clone(),
            json: false,
            report: None,
            table: None,
            fresh: false,
            lasting: None,
            repeat: 1,
            seed: Some(seed),
            strict_goals: false,
        };
        let (suite, alarms) = (self.suite.name.clone(), self.suite.alarms.clone());
        let watch = Watch { suite, first, hit, alarms };
        let ran = drills::run_all(&args, std::slice::from_ref(&item.drill), Some(&watch)).await;
        match ran {
            Ok(Rehearsed { exit, samples }) => {
                let reasons = samples.into_iter().flat_map(|sample| sample.reasons);
                (exit, reasons.collect())
            }
            Err(err) => (Exit::Harness, vec![format!("failed to {err:#}")]),
        }
    }
}

/// Returns what is known of a drill before it has begun: should this program end in the middle of it,
/// nobody runs it a second time.
fn begun(item: &Item, due_unix_ms: u64, pick: &Pick, now: u64) -> Entry {
    Entry {
        drill: item.drill.name.clone(),
        due_unix_ms,
        ended_unix_ms: now,
        target: Some(pick.target.clone()),
        seed: Some(pick.seed),
        outcome: Outcome::Interrupted,
        why: vec![ABANDONED.to_owned()],
    }
}

fn note(past: &mut Past, entry: Entry) -> anyhow::Result<()> {
    Terminal::Text.line(&told(&entry));
    past.push(entry).context("write down what became of the drill")
}
