//! Does what a drill does to the platform: action after action, some at the same time, or the same ones
//! again and again.

use std::iter::zip;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::Run;
use super::live::Live;
use super::observe::observe;
use super::preflight::Ready;
use crate::control_plane::{Cell, ControlPlane};
use crate::course::Course;
use crate::drill::{Action, Aim, Drill, Expect, When};
use crate::fault::{Bench, Injection, Target, inject, settle};
use crate::history::Event;
use crate::safeguard::Safeguard;

/// While etcd elects, or a control plane stands still, nobody may know where the cells are.
const KNOWN: Duration = Duration::from_secs(10);
/// Promoting takes a few hundred of them.
const EVENT_LOOK: Duration = Duration::from_millis(5);
const KNOWN_PAUSE: Duration = Duration::from_millis(250);

/// Returns once everything was done and observed; what could not be proven, or ended it early, is
/// noted.
pub(super) async fn act(
    run: &Run<'_>,
    course: &mut Course,
    safeguard: &Safeguard,
    ready: &Ready,
) -> anyhow::Result<()> {
    let Ready { control_plane, target: expected, .. } = ready;
    let begun = Instant::now();
    let mut live = Live::default();
    let mut known = Vec::new();
    let mut number = 0;
    loop {
        let together = together(run.drill, number, begun.elapsed());
        let (Some(first), Some(last)) = (together.first(), together.last()) else { break };
        let count = u32::try_from(together.len()).context("count the actions")?;
        let event = match &first.when {
            None => None,
            Some(when) => {
                sleep(first.before).await;
                let Some(event) = wait_for(run, course, when).await else {
                    let When { event, within } = when;
                    course.unproven = Some(format!("{event} was not seen within {within:.1?}"));
                    return Ok(());
                };
                Some(event)
            }
        };
        let noted = course.injections.len();
        course.injections.resize_with(noted + together.len(), Injection::default);
        let doing = zip(&together, &mut course.injections[noted..]).enumerate();
        let doing = doing.map(|(offset, (action, injection))| {
            // The baseline, and the pause before the event, are over.
            let is_waited = offset == 0 && (number == 0 || event.is_some());
            let before = if is_waited { Duration::ZERO } else { action.before };
            let seed = seed(run.drill, ready.seed, number);
            let expected = (number == 0 && offset == 0).then_some(expected);
            let turn = Turn { action, seed, before, event: event.as_ref(), expected };
            step(run, turn, safeguard, control_plane, known.clone(), injection)
        });
        let (mut unproven, mut beyond) = (None, None);
        let mut is_broken = noted > 0;
        for done in join_all(doing).await {
            match done? {
                Done::Proven(cells) => (known, is_broken) = (cells, true),
                Done::Unproven(why) => (unproven, is_broken) = (unproven.or(Some(why)), true),
                Done::Beyond(why) => beyond = beyond.or(Some(why)),
            }
        }
        if let Some(why) = beyond {
            refuse(course, why, is_broken);
            return Ok(());
        }
        course.unproven = unproven;
        if course.unproven.is_some() {
            return Ok(());
        }
        safeguard.applied()?;
        let lasting = observed(run.drill, last, number, begun.elapsed());
        if run.drill.repeat.is_none() && !lasting.is_zero() {
            let expect = match last.expect {
                Expect::Serve => "",
                Expect::RefuseWrites => "; writes are to be refused",
            };
            run.terminal.phase("observe", &format!("{lasting:.1?} of load under it{expect}"));
        }
        let fault = course.fault().context("find the fault noted")?;
        course.aborted = observe(run, &mut live, &fault, &course.users, lasting).await;
        if course.aborted.is_some() {
            return Ok(());
        }
        number = number.saturating_add(count);
    }
    Ok(())
}

/// One action, when it is its turn.
struct Turn<'a> {
    action: &'a Action,
    seed: u64,
    before: Duration,
    /// What it has waited for.
    event: Option<&'a Event>,
    /// What its target was before the load.
    expected: Option<&'a Target>,
}

enum Done {
    /// With where the cells were then.
    Proven(Vec<Cell>),
    Unproven(String),
    /// Nothing was done: it is more than the drill may break.
    Beyond(String),
}

/// Where nothing was broken the run is refused. Otherwise it is stopped, like any that must not go on.
fn refuse(course: &mut Course, why: String, is_broken: bool) {
    if is_broken {
        course.aborted = Some(format!("stopped: {why}"));
    } else {
        course.injections.clear();
        course.refused = Some(why);
    }
}

/// Does one thing to the platform, and proves it.
async fn step(
    run: &Run<'_>,
    turn: Turn<'_>,
    safeguard: &Safeguard,
    control_plane: &ControlPlane,
    mut known: Vec<Cell>,
    injection: &mut Injection,
) -> anyhow::Result<Done> {
    let Turn { action, seed, before, event, expected } = turn;
    sleep(before).await;
    let mut cells = cells(control_plane, &mut known).await?;
    // In the middle of a move the place that counts is the one it goes to.
    let moving = event.and_then(|event| Some((&event.cell, event.region.as_ref()?)));
    if let Some((id, region)) = moving
        && let Some(cell) = cells.iter_mut().find(|cell| cell.id == *id)
    {
        cell.active = Some(region.clone());
    }
    let target = settle(&action.fault, &cells, seed);
    let target = target.map_err(|why| anyhow::anyhow!("settle the target: {why}"))?;
    if let Some(beyond) = target.beyond(&run.drill.scope) {
        return Ok(Done::Beyond(beyond));
    }
    if let Some(expected) = expected.filter(|expected| **expected != target) {
        run.terminal.line(&format!("cells moved meanwhile: {target} instead of {expected}"));
    }
    let what = format!("{} of {target}", action.fault.kind());
    run.terminal.phase("inject", &what);
    safeguard.injecting(&what, target.cells().keys().map(ToString::to_string).collect())?;
    let (platform, clock) = (run.platform, run.clock);
    let bench = Bench { run: run.id, platform, control_plane, clock, action };
    if let Err(err) = inject(&bench, &target, safeguard, injection).await {
        return Ok(Done::Unproven(format!("{err:#}")));
    }
    run.terminal.phase("verify", &injection.proof.join("; "));
    Ok(Done::Proven(known))
}

/// Waits for the control plane to say something of a cell that was hit, after it was.
async fn wait_for(run: &Run<'_>, course: &Course, when: &When) -> Option<Event> {
    let due = Instant::now() + when.within;
    let (affected, begun) = (course.affected(), course.begun()?);
    run.terminal.phase("wait", &format!("for {}", when.event));
    loop {
        let found = run.recorder.with(|record| {
            let mut events = record.events.iter();
            let is_it = |event: &&Event| {
                event.name == when.event && event.at >= begun && affected.contains(&event.cell)
            };
            events.find(is_it).cloned()
        });
        if found.is_some() || Instant::now() >= due {
            return found;
        }
        sleep(EVENT_LOOK).await;
    }
}

/// Returns what is done at this turn, all at the same time; nothing when it is over.
fn together(drill: &Drill, number: u32, elapsed: Duration) -> Vec<&Action> {
    let actions = &drill.actions;
    match &drill.repeat {
        None => {
            let rest = actions.get(number as usize..).unwrap_or_default();
            let more = rest.iter().take_while(|action| action.is_together).count();
            rest.iter().take(more + 1).collect()
        }
        Some(repeat) if elapsed >= repeat.lasting => Vec::new(),
        Some(_) => {
            actions.iter().cycle().nth(number as usize % actions.len()).into_iter().collect()
        }
    }
}

/// Returns how long it is looked on before the next turn.
fn observed(drill: &Drill, action: &Action, number: u32, elapsed: Duration) -> Duration {
    match &drill.repeat {
        None => action.after,
        Some(repeat) => {
            let next = repeat.every.saturating_mul(number.saturating_add(1));
            next.saturating_sub(elapsed)
        }
    }
}

/// Actions that belong together have one seed, so that `auto` means the same cell to all of them;
/// repeated ones have each their own.
fn seed(drill: &Drill, first: u64, number: u32) -> u64 {
    let is_anew = drill.repeat.as_ref().is_some_and(|repeat| repeat.aim == Aim::Anew);
    let turn = if is_anew { number } else { 0 };
    // Runs of a series count their seeds up by one.
    first.wrapping_add(u64::from(turn) << 32)
}

/// Returns where the cells are, as soon as somebody knows; where they were `known` to be, when all
/// who could know are what the drill has broken.
async fn cells(control_plane: &ControlPlane, known: &mut Vec<Cell>) -> anyhow::Result<Vec<Cell>> {
    let due = Instant::now() + KNOWN;
    loop {
        match control_plane.cells().await {
            Err(err) if Instant::now() >= due => {
                return if known.is_empty() { Err(err) } else { Ok(known.clone()) };
            }
            Err(_) => sleep(KNOWN_PAUSE).await,
            Ok(cells) => {
                known.clone_from(&cells);
                return Ok(cells);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::Repeat;

    fn repeat(aim: Aim) -> Repeat {
        Repeat { lasting: seconds(60), every: seconds(10), aim }
    }

    use crate::drill::catalogue::DRILLS;

    fn drill(repeat: Option<Repeat>) -> Drill {
        let mut drill = Drill::parse("region-loss", DRILLS[0].1).unwrap();
        let second = Action { name: "second".to_owned(), ..drill.actions[0].clone() };
        drill.actions.push(second);
        drill.repeat = repeat;
        drill
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn names(drill: &Drill, number: u32, at: u64) -> Vec<&str> {
        together(drill, number, seconds(at)).into_iter().map(|a| a.name.as_str()).collect()
    }

    #[test]
    fn what_belongs_together_has_one_turn() {
        let mut drill = drill(None);
        let third = Action { name: "third".to_owned(), ..drill.actions[0].clone() };
        drill.actions.push(third);
        drill.actions[0].is_together = true;
        assert_eq!(names(&drill, 0, 0), ["kill-region", "second"]);
        assert_eq!(names(&drill, 2, 0), ["third"]);
        assert!(names(&drill, 3, 0).is_empty());
    }

    #[test]
    fn each_action_has_its_turn_once() {
        let drill = drill(None);
        assert_eq!(names(&drill, 0, 500), ["kill-region"]);
        assert_eq!(names(&drill, 1, 500), ["second"]);
        assert!(names(&drill, 2, 500).is_empty());
        assert_eq!(observed(&drill, &drill.actions[0], 0, seconds(500)), seconds(12));
    }

    #[test]
    fn repeated_actions_take_turns_at_an_even_pace_until_the_time_is_over() {
        let drill = drill(Some(repeat(Aim::Anew)));
        assert_eq!(names(&drill, 2, 20), ["kill-region"]);
        assert_eq!(names(&drill, 5, 59), ["second"]);
        assert!(names(&drill, 6, 60).is_empty());
        assert_eq!(observed(&drill, &drill.actions[0], 2, seconds(21)), seconds(9));
        assert_eq!(observed(&drill, &drill.actions[0], 2, seconds(35)), seconds(0));
    }

    #[test]
    fn what_is_beyond_the_scope_is_refused_or_stopped_where_something_was_broken() {
        let mut course = Course { injections: vec![Injection::default()], ..Course::default() };
        refuse(&mut course, "too much".to_owned(), true);
        assert_eq!(
            (course.aborted.as_deref(), course.injections.len()),
            (Some("stopped: too much"), 1)
        );
        course.aborted = None;
        refuse(&mut course, "too much".to_owned(), false);
        assert_eq!((course.refused.as_deref(), course.injections.len()), (Some("too much"), 0));
        assert_eq!(course.aborted, None);
    }

    #[test]
    fn what_is_done_together_has_one_seed_and_what_is_repeated_each_its_own() {
        let together = drill(None);
        assert_eq!((seed(&together, 7, 0), seed(&together, 7, 1)), (7, 7));
        let repeated = drill(Some(repeat(Aim::Anew)));
        assert_eq!(seed(&repeated, 7, 0), 7);
        assert_ne!(seed(&repeated, 7, 1), 7);
        assert_ne!(seed(&repeated, 7, 1), seed(&repeated, 7, 2));
        let same = drill(Some(repeat(Aim::Same)));
        assert_eq!((seed(&same, 7, 1), seed(&same, 7, 2)), (7, 7));
    }
}
