//! Follows a suite: begins each drill when it is due, writes down what became of it, and tells the platform
//! what comes next.

use std::future::pending;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock;
use tokio::time::{sleep, timeout};
use topology::wire::suite::SuitePlan;

use super::drills::{self, Rehearsed};
use super::heal;
use super::suite::{self, look};
use crate::cli::{PlaceArgs, RunArgs};
use crate::exit::Exit;
use crate::platform::Platform;
use crate::suite::announce::{announce, is_news};
use crate::suite::due::{Decision, decide};
use crate::suite::incident::Sight;
use crate::suite::past::{Entry, Outcome, Past, outcome_of};
use crate::suite::rotation::Pick;
use crate::suite::tied::Tied;
use crate::suite::watch::Watch;
use crate::suite::{Item, Suite};
use crate::terminal::{Terminal, complain};
use crate::{lock, logbook};

/// A clock that was set is noticed after this.
const NAP: Duration = Duration::from_mins(1);
/// Why a drill was interrupted that nobody lived to see the end of.
const ABANDONED: &str = "the suite ended in the middle of it";
/// A drill that was refused is tried again after this.
const REFUSED: Duration = Duration::from_secs(30);

/// A suite that is followed.
pub(super) struct Follow {
    suite: Suite,
    run_dir: PathBuf,
    environment: Option<String>,
    /// Ends when nothing is due any more.
    once: bool,
}

impl Follow {
    pub(super) fn new(
        suite: Suite,
        run_dir: PathBuf,
        environment: Option<String>,
        once: bool,
    ) -> Self {
        Self { suite, run_dir, environment, once }
    }

    /// Follows it until its end, a signal, or the end of what it is tied to.
    pub(super) async fn run(&self, tied: Option<Tied>) -> anyhow::Result<Exit> {
        let Self { suite, run_dir, once, .. } = self;
        let tied = tied.map(Arc::new);
        let doing = format!("chaos suite run {}", suite.name);
        let _lock = match lock::take(&Past::folder(run_dir), &doing)? {
            Ok(lock) => lock,
            Err(holder) => return Ok(heal::refused(run_dir, holder.as_ref())),
        };
        let mut past = Past::read(run_dir, &suite.name)?;
        if let Some(last) = past.entries().last().filter(|last| last.why == [ABANDONED]) {
            self.tell_platform(last).await;
        }
        let mut stop = pin!(stopped(tied.as_deref()));
        let deadline = u64::try_from(suite.deadline.as_millis()).unwrap_or(u64::MAX);
        let since = clock::unix_millis().saturating_sub(deadline);
        let (mut worst, mut told_held, mut told) = (Exit::Pass, None, None);
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
                    let (world, first) = seen.map_err(anyhow::Error::msg)?;
                    let begun = begun(item, due, &pick, now);
                    past.push(begun.clone()).context("write down that the drill begins")?;
                    let (entries, running) = (past.entries(), Some(&begun));
                    let plan = announce(suite, &world, entries, running, None, now);
                    self.tell_plan(&mut told, plan).await;
                    let Some((exit, why)) = self.begin(item, pick, first, tied.as_ref()).await
                    else {
                        worst = worst.max(Exit::Refused);
                        // It is still due, until it is too late.
                        past.take_back(&begun.drill, due).context("write down that it waits")?;
                        if *once {
                            return Ok(worst);
                        }
                        tokio::select! {
                            () = &mut stop => return Ok(worst),
                            () = sleep(REFUSED) => continue,
                        }
                    };
                    worst = worst.max(exit);
                    let (outcome, ended_unix_ms) = (outcome_of(exit), clock::unix_millis());
                    note(&mut past, Entry { ended_unix_ms, outcome, why, ..begun })?;
                    // Whom the next one hits depends on what became of this one. Should the platform not
                    // be seen for a while, it is told at least that nothing runs any more.
                    let entries = past.entries();
                    let plan = announce(suite, &world, entries, None, None, ended_unix_ms);
                    self.tell_plan(&mut told, plan).await;
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
                    if let Ok(world) = world {
                        let (entries, held) = (past.entries(), held.as_deref());
                        let plan = announce(suite, world, entries, None, held, now);
                        self.tell_plan(&mut told, plan).await;
                    }
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

    /// Tells the platform what the suite does, if there is anything new in that. That it cannot be told is
    /// no reason not to go on.
    async fn tell_plan(&self, told: &mut Option<SuitePlan>, plan: SuitePlan) {
        if !is_news(&plan, told.as_ref()) {
            return;
        }
        // It has just been looked at; whoever asks next is told.
        let Ok(Some(platform)) = Platform::find(&self.run_dir) else { return };
        match logbook::write_plan(&platform, &plan).await {
            Ok(()) => *told = Some(plan),
            Err(err) => {
                complain(&format!("the platform does not know the plan: failed to {err:#}"));
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

    /// Runs a drill, and returns what became of it, and why; `None` if it was refused before it began, since
    /// another one runs, or none may. What is refused for what it would break would be so again.
    async fn begin(
        &self,
        item: &Item,
        pick: Pick,
        first: Sight,
        tied: Option<&Arc<Tied>>,
    ) -> Option<(Exit, Vec<String>)> {
        let Pick { target, seed, hit } = pick;
        let tied = tied.filter(|tied| !tied.is_hit_by(&item.drill, &hit)).cloned();
        Terminal::Text.line(&format!("{} is due, and hits {target}", item.drill.name));
        let args = RunArgs {
            drill: item.drill.name.clone(),
            tag: None,
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
        let watch = Watch { suite, first, hit, alarms, tied };
        let ran = drills::run_all(&args, std::slice::from_ref(&item.drill), Some(&watch)).await;
        match ran {
            Ok(Rehearsed { exit: Exit::Refused, samples }) if samples.is_empty() => None,
            Ok(Rehearsed { exit, samples }) => {
                let reasons = samples.into_iter().flat_map(|sample| sample.reasons);
                Some((exit, reasons.collect()))
            }
            Err(err) => Some((Exit::Harness, vec![format!("failed to {err:#}")])),
        }
    }
}

/// Returns only once the suite is to end.
async fn stopped(tied: Option<&Tied>) {
    let let_go = async {
        match tied {
            Some(tied) => tied.gone().await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = runtime::stop_asked() => {}
        () = let_go => {}
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
    Terminal::Text.line(&suite::told(&entry));
    past.push(entry).context("write down what became of the drill")
}
