//! Does what the command line asks, and turns the outcome into an exit code.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::cli::{Cli, Command, RunArgs};
use crate::drill::Drill;
use crate::drill::catalogue::{DRILLS, Found, find};
use crate::exit::Exit;
use crate::freeze::stand_guard;
use crate::fresh;
use crate::history::Clock;
use crate::metrics::metrics;
use crate::platform::Platform;
use crate::recorder::Recorder;
use crate::report::{self, Report};
use crate::run::{Run, run as rehearse};
use crate::series::{self, Sample};
use crate::terminal::{Terminal, complain, print};
use crate::verdict::{Goals, verdict};

pub async fn run() -> anyhow::Result<Exit> {
    match Cli::parse().command {
        Command::Run(args) => run_drills(&args).await,
        Command::List => list(),
        Command::Validate { drill } => match read(&drill)? {
            Ok(drills) => {
                for drill in drills {
                    print(&format!("{}: no findings; {}", drill.name, drill.title))?;
                }
                Ok(Exit::Pass)
            }
            Err(exit) => Ok(exit),
        },
        Command::Guard { ttl_ms } => {
            stand_guard(Duration::from_millis(ttl_ms)).await?;
            Ok(Exit::Pass)
        }
    }
}

async fn run_drills(args: &RunArgs) -> anyhow::Result<Exit> {
    let mut drills = match read(&args.drill)? {
        Ok(drills) => drills,
        Err(exit) => return Ok(exit),
    };
    for drill in &mut drills {
        if let Some(Err(why)) = args.lasting.map(|lasting| drill.last(lasting)) {
            complain(&format!("{}: --for: {why}", drill.name));
            return Ok(Exit::Invalid);
        }
    }
    let run_dir = runtime::run_dir::run_dir(args.run_dir.clone())?;
    let terminal = if args.json { Terminal::Json } else { Terminal::Text };
    if !args.fresh && Platform::find(&run_dir)?.is_none() {
        complain(&format!(
            "no platform runs in {}: start one with `platform up --detach --run-dir {0}`, or let \
             `chaos run {} --fresh` do it",
            run_dir.display(),
            args.drill
        ));
        return Ok(Exit::Unsteady);
    }
    let Some(_lock) = lock(&run_dir.join("drills"))? else {
        complain(&format!("another drill is running in {}", run_dir.display()));
        return Ok(Exit::Refused);
    };
    if args.fresh {
        terminal.phase("fresh", "starting the platform anew");
        fresh::restart(&run_dir).await?;
    }
    let platform = Platform::find(&run_dir)?.context("find the platform running")?;
    let mut samples = Vec::new();
    let mut documents = Vec::new();
    'all: for drill in &drills {
        for round in 0..args.repeat {
            let (sample, document) = one(args, &platform, drill, round, terminal).await?;
            // Whoever stopped this run meant the rest too; what is left behind must be seen to first.
            let is_last = matches!(sample.exit, Exit::Aborted | Exit::Residue);
            samples.push(sample);
            documents.push(document);
            if is_last {
                break 'all;
            }
        }
    }
    let several = drills.len() > 1 || args.repeat > 1;
    if several {
        for line in series::lines(&samples) {
            terminal.line(&line);
        }
    }
    if args.json {
        let document = match documents.pop() {
            Some(document) if !several => document,
            last => {
                documents.extend(last);
                json!({ "runs": documents, "summary": series::json(&samples) })
            }
        };
        print(&document.to_string())?;
    }
    Ok(series::exit(&samples))
}

/// Runs a drill once, and writes its report.
async fn one(
    args: &RunArgs,
    platform: &Platform,
    drill: &Drill,
    round: u32,
    terminal: Terminal,
) -> anyhow::Result<(Sample, Value)> {
    let mut drill = drill.clone();
    drill.seed = args.seed.unwrap_or(drill.seed).wrapping_add(u64::from(round));
    let clock = Clock::start();
    let id = format!("{}-{}", drill.name, clock.begun_unix_ms);
    terminal.line(&format!("{}: {} (seed {})", drill.name, drill.title, drill.seed));
    let recorder = Recorder::default();
    let run = Run { id: &id, drill: &drill, platform, terminal, clock, recorder };
    let course = rehearse(&run).await;

    let metrics = metrics(&course);
    let goals = if args.strict_goals { Goals::Strict } else { Goals::Warn };
    let verdict = verdict(&drill, &course, &metrics, goals);
    let lasting = args.lasting.map(|lasting| format!(" --for {}ms", lasting.as_millis()));
    let lasting = lasting.unwrap_or_default();
    let again = format!("chaos run {} --seed {}{lasting}", args.drill, drill.seed);
    let (course, metrics, verdict) = (&course, &metrics, &verdict);
    let report = Report { id: &id, drill: &drill, clock, course, metrics, verdict, again };
    terminal.line(&report::table(&report));
    let folder = folder(args, platform, &id);
    report::write(&report, &folder)?;
    terminal.line(&format!("report: {}", folder.join("report.html").display()));
    Ok((Sample::new(&drill.name, verdict.exit, metrics), report::json(&report)))
}

/// A folder that was asked for holds one run, or one folder per run.
fn folder(args: &RunArgs, platform: &Platform, id: &str) -> PathBuf {
    match &args.report {
        Some(folder) if args.repeat == 1 && args.drill != "all" => folder.clone(),
        Some(folder) => folder.join(id),
        None => platform.drills().join(id),
    }
}

fn list() -> anyhow::Result<Exit> {
    for (name, text) in DRILLS {
        let title = Drill::parse(name, text).map_or_else(|_| String::new(), |drill| drill.title);
        print(&format!("{name:<16} {title}"))?;
    }
    Ok(Exit::Pass)
}

/// Reads what was asked for; what is wrong with it is said here.
fn read(asked: &str) -> anyhow::Result<Result<Vec<Drill>, Exit>> {
    let Some(found) = find(asked)? else {
        let names = DRILLS.map(|(name, _)| name).join(", ");
        complain(&format!("no drill and no file is called {asked}; the drills are {names}"));
        return Ok(Err(Exit::Invalid));
    };
    let mut drills = Vec::new();
    let mut is_right = true;
    for Found { place, drill } in found {
        match drill {
            Ok(drill) => drills.push(drill),
            Err(findings) => {
                is_right = false;
                for finding in findings {
                    complain(&format!("{place}:{finding}"));
                }
            }
        }
    }
    Ok(if is_right { Ok(drills) } else { Err(Exit::Invalid) })
}

/// Held while drills run: two at once would blame each other's faults on the platform.
fn lock(folder: &Path) -> anyhow::Result<Option<File>> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("lock {}", path.display())),
    }
}
