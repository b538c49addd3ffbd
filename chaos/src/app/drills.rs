//! `chaos run`, `chaos list`: finds the drills asked for, and runs them one after the other.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runtime::environment;
use serde_json::{Value, json};

use super::heal;
use crate::cli::{ListArgs, RunArgs};
use crate::drill::Drill;
use crate::drill::catalogue::{DRILLS, Found, find, tagged, tags};
use crate::exit::Exit;
use crate::fresh;
use crate::history::Clock;
use crate::logbook;
use crate::metrics::metrics;
use crate::plan;
use crate::platform::Platform;
use crate::recorder::Recorder;
use crate::report::{self, Report};
use crate::run::{Run, run as rehearse};
use crate::series::{self, Sample};
use crate::suite::watch::Watch;
use crate::terminal::{Terminal, complain, print};
use crate::verdict::{Goals, verdict};
use crate::{lever, lock, recover};

pub(super) async fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let mut drills = match asked(args)? {
        Ok(drills) => drills,
        Err(exit) => return Ok(exit),
    };
    if args.drill == "all" {
        leave_out(&mut drills, args)?;
    }
    for drill in &mut drills {
        if let Some(Err(why)) = args.lasting.map(|lasting| drill.last(lasting)) {
            complain(&format!("{}: --for: {why}", drill.name));
            return Ok(Exit::Invalid);
        }
    }
    Ok(run_all(args, &drills, None).await?.exit)
}

/// Finds what was asked for; what is wrong with that is said here.
fn asked(args: &RunArgs) -> anyhow::Result<Result<Vec<Drill>, Exit>> {
    let Some(tag) = &args.tag else { return read(&args.drill) };
    if args.drill != "all" {
        complain(&format!("--tag {tag}: of `all` only, and not of {}", args.drill));
        return Ok(Err(Exit::Invalid));
    }
    let Some(found) = tagged(tag) else {
        let tags = Vec::from_iter(tags()).join(", ");
        complain(&format!("--tag {tag}: no drill has it; the tags are {tags}"));
        return Ok(Err(Exit::Invalid));
    };
    Ok(sound(found))
}

/// Leaves out what this platform has not been started for, and says so.
fn leave_out(drills: &mut Vec<Drill>, args: &RunArgs) -> anyhow::Result<()> {
    let run_dir = runtime::run_dir::run_dir(args.place.run_dir.clone())?;
    let Some(platform) = Platform::find(&run_dir)? else { return Ok(()) };
    let (terminal, offers) = (terminal(args), platform.offers());
    drills.retain(|drill| {
        let lacks = drill.lacks(offers);
        if let Some(why) = lacks {
            terminal.line(&format!("left out: {}: {why}", drill.name));
        }
        lacks.is_none()
    });
    Ok(())
}

/// What runs of drills came to.
pub(super) struct Rehearsed {
    pub(super) exit: Exit,
    /// None, if nothing was begun.
    pub(super) samples: Vec<Sample>,
}

impl From<Exit> for Rehearsed {
    fn from(exit: Exit) -> Self {
        Self { exit, samples: Vec::new() }
    }
}

/// Runs drills one after the other, if that may be.
pub(super) async fn run_all(
    args: &RunArgs,
    drills: &[Drill],
    watch: Option<&Watch>,
) -> anyhow::Result<Rehearsed> {
    let run_dir = runtime::run_dir::run_dir(args.place.run_dir.clone())?;
    let terminal = terminal(args);
    let found = Platform::find(&run_dir)?;
    if !args.fresh && found.is_none() {
        complain(&format!(
            "no platform runs in {}: start one with `platform up --detach --run-dir {0}`, or let \
             `chaos run {} --fresh` do it",
            run_dir.display(),
            args.drill
        ));
        return Ok(Exit::Unsteady.into());
    }
    let doing = format!("chaos run {}", args.drill);
    let _lock = match lock::take(&run_dir.join("drills"), &doing)? {
        Ok(lock) => lock,
        Err(holder) => return Ok(heal::refused(&run_dir, holder.as_ref()).into()),
    };
    let lever = lever::look(&run_dir, found.as_ref()).await;
    if let Some(doubt) = lever.doubt() {
        terminal.line(&doubt);
    }
    if let Some(reason) = lever.pulled() {
        complain(&format!(
            "no drill starts: the lever is pulled ({reason}); `chaos lever release` lets them start"
        ));
        return Ok(Exit::Refused.into());
    }
    if args.fresh {
        // What was there is asked before its data is gone; its answer outlives a fresh start.
        if environment::has_id(&run_dir)? && !are_allowed(drills, &run_dir, args)? {
            return Ok(Exit::Refused.into());
        }
        terminal.phase("fresh", "starting the platform anew");
        fresh::restart(&run_dir).await?;
    }
    let platform = Platform::find(&run_dir)?.context("find the platform running")?;
    if !are_allowed(drills, &run_dir, args)? {
        return Ok(Exit::Refused.into());
    }
    if args.dry_run {
        return Ok(plan::print_all(&platform, drills, args.seed).await?.into());
    }
    let recovered = recover::recover(&run_dir).await?;
    for done in &recovered.done {
        terminal.line(&format!("an earlier drill had left this: {done}"));
    }
    // It would be taken for what this run has left, after more was broken.
    if !recovered.left.is_empty() {
        for left in &recovered.left {
            complain(&format!("no drill starts: {left} is left of an earlier one"));
        }
        return Ok(Exit::Residue.into());
    }
    let mut samples = Vec::new();
    let mut documents = Vec::new();
    'all: for drill in drills {
        for round in 0..args.repeat {
            let (sample, document) = one(args, &platform, drill, round, watch).await?;
            // Whoever stopped this run meant the rest too; what is left behind must be seen to first.
            let is_last = matches!(sample.exit, Exit::Aborted | Exit::Residue);
            samples.push(sample);
            documents.push(document);
            // Hours of runs are not lost with the last of them.
            if let Some(path) = table_path(args) {
                write_table(&path, &samples)?;
            }
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
    Ok(Rehearsed { exit: series::exit(&samples), samples })
}

/// Where the table of several runs goes, if anybody wants one.
fn table_path(args: &RunArgs) -> Option<PathBuf> {
    let beside = || args.report.as_ref().map(|folder| folder.join("table.md"));
    let is_one = args.repeat == 1 && args.drill != "all";
    args.table.clone().or_else(|| beside().filter(|_| !is_one))
}

fn write_table(path: &Path, samples: &[Sample]) -> anyhow::Result<()> {
    std::fs::write(path, series::markdown(samples))
        .with_context(|| format!("write {}", path.display()))
}

/// Returns whether the environment may be broken by each of the drills; says why not.
fn are_allowed(drills: &[Drill], run_dir: &Path, args: &RunArgs) -> anyhow::Result<bool> {
    for drill in drills {
        let wanted = args.environment.as_deref().or(drill.scope.environment.as_deref());
        if let Err(why) = environment::allows(run_dir, wanted)? {
            complain(&format!("{}: {why}", drill.name));
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a drill once, and writes its report.
async fn one(
    args: &RunArgs,
    platform: &Platform,
    drill: &Drill,
    round: u32,
    watch: Option<&Watch>,
) -> anyhow::Result<(Sample, Value)> {
    let terminal = terminal(args);
    let mut drill = drill.clone();
    drill.seed = args.seed.unwrap_or(drill.seed).wrapping_add(u64::from(round));
    let clock = Clock::start();
    let id = format!("{}-{}", drill.name, clock.begun_unix_ms);
    terminal.line(&format!("{}: {} (seed {})", drill.name, drill.title, drill.seed));
    let recorder = Recorder::default();
    let run = Run { id: &id, drill: &drill, platform, terminal, clock, recorder, watch };
    let course = rehearse(&run).await;

    let metrics = metrics(&course);
    let goals = if args.strict_goals { Goals::Strict } else { Goals::Warn };
    let verdict = verdict(&drill, &course, &metrics, goals);
    let lasting = args.lasting.map(|lasting| format!(" --for {}ms", lasting.as_millis()));
    let lasting = lasting.unwrap_or_default();
    let seed = course.seed_of(&drill);
    let name = if args.drill == "all" { &drill.name } else { &args.drill };
    let again = format!("chaos run {name} --seed {seed}{lasting}");
    let (course, metrics, verdict) = (&course, &metrics, &verdict);
    let report = Report { id: &id, drill: &drill, clock, course, metrics, verdict, again };
    terminal.line(&report::table(&report));
    let folder = folder(args, platform, &id);
    let earlier = report::earlier(&platform.drills(), &drill.name, clock.begun_unix_ms)?;
    report::write(&report, &folder, &earlier)?;
    terminal.line(&format!("report: {}", folder.join("report.html").display()));
    if let Err(err) =
        logbook::write(platform, &report, watch.map(|watch| watch.suite.as_str())).await
    {
        terminal.line(&format!("the platform's list of drills lacks this run: failed to {err:#}"));
    }
    let document = serde_json::to_value(report::document(&report)).context("write the report")?;
    Ok((Sample::new(&drill.name, verdict, metrics), document))
}

fn terminal(args: &RunArgs) -> Terminal {
    if args.json { Terminal::Json } else { Terminal::Text }
}

/// A folder that was asked for holds one run, or one folder per run.
fn folder(args: &RunArgs, platform: &Platform, id: &str) -> PathBuf {
    match &args.report {
        Some(folder) if args.repeat == 1 && args.drill != "all" => folder.clone(),
        Some(folder) => folder.join(id),
        None => platform.drills().join(id),
    }
}

/// Lists the drills that come along.
pub(super) fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    for (name, text) in DRILLS {
        // Every one that comes along is right: a test sees to it.
        let Ok(drill) = Drill::parse(name, text) else { continue };
        if args.tag.as_ref().is_none_or(|tag| drill.has_tag(tag)) {
            print(&format!("{name:<20} {} [{}]", drill.title, drill.tags.join(", ")))?;
        }
    }
    Ok(Exit::Pass)
}

/// Reads what was asked for; what is wrong with it is said here.
pub(super) fn read(asked: &str) -> anyhow::Result<Result<Vec<Drill>, Exit>> {
    let Some(found) = find(asked)? else {
        let names = DRILLS.map(|(name, _)| name).join(", ");
        complain(&format!("no drill and no file is called {asked}; the drills are {names}"));
        return Ok(Err(Exit::Invalid));
    };
    Ok(sound(found))
}

/// Returns drills that are right; what is wrong with the others is said here.
fn sound(found: Vec<Found>) -> Result<Vec<Drill>, Exit> {
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
    if is_right { Ok(drills) } else { Err(Exit::Invalid) }
}
