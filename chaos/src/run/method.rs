//! Does what a drill does to the platform: action after action, or the same ones again and again.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use super::Run;
use super::live::Live;
use super::observe::observe;
use crate::control_plane::{Cell, ControlPlane};
use crate::course::Course;
use crate::drill::{Action, Aim, Drill, When};
use crate::fault::{Bench, Injection, Target, inject, settle};
use crate::history::Event;
use crate::safeguard::Safeguard;

/// While etcd elects, or a control plane stands still, nobody may know where the cells are.
const KNOWN: Duration = Duration::from_secs(10);
/// Promoting takes a few hundred of them.
const EVENT_LOOK: Duration = Duration::from_millis(5);
const KNOWN_PAUSE: Duration = Duration::from_millis(250);

/// Returns once everything was done and observed; what could not be proven, or ended it early, is
/// noted. `expected` is what the first target was before the load.
pub(super) async fn act(
    run: &Run<'_>,
    course: &mut Course,
    safeguard: &mut Safeguard,
    control_plane: &ControlPlane,
    expected: &Target,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut live = Live::default();
    let mut known = Vec::new();
    for number in 0..u32::MAX {
        let Some(action) = action(run.drill, number, begun.elapsed()) else { break };
        if number > 0 {
            sleep(action.before).await;
        }
        let event = match &action.when {
            None => None,
            Some(when) => {
                let Some(event) = wait_for(run, course, when).await else {
                    let When { event, within } = when;
                    course.unproven = Some(format!("{event} was not seen within {within:.1?}"));
                    return Ok(());
                };
                Some(event)
            }
        };
        let mut cells = cells(control_plane, &mut known).await?;
        // In the middle of a move the place that counts is the one it goes to.
        let moving = event.as_ref().and_then(|event| Some((&event.cell, event.region.as_ref()?)));
        if let Some((id, region)) = moving
            && let Some(cell) = cells.iter_mut().find(|cell| cell.id == *id)
        {
            cell.active = Some(region.clone());
        }
        let target = settle(&action.fault, &cells, seed(run.drill, number));
        let target = target.map_err(|why| anyhow::anyhow!("settle the target: {why}"))?;
        if let Some(beyond) = target.beyond(&run.drill.scope) {
            anyhow::bail!("stay within the scope: {beyond}");
        }
        if number == 0 && target != *expected {
            run.terminal.line(&format!("cells moved meanwhile: {target} instead of {expected}"));
        }
        let what = format!("{} of {target}", action.fault.kind());
        run.terminal.phase("inject", &what);
        safeguard.injecting(&what)?;
        let (platform, clock) = (run.platform, run.clock);
        let bench = Bench { run: run.id, platform, control_plane, clock, action };
        course.injections.push(Injection::default());
        let injection = course.injections.last_mut().context("note the fault")?;
        if let Err(err) = inject(&bench, &target, safeguard, injection).await {
            course.unproven = Some(format!("{err:#}"));
            return Ok(());
        }
        safeguard.applied()?;
        run.terminal.phase("verify", &injection.proof.join("; "));
        let lasting = observed(run.drill, action, number, begun.elapsed());
        if run.drill.repeat.is_none() && !lasting.is_zero() {
            run.terminal.phase("observe", &format!("{lasting:.1?} of load under it"));
        }
        let fault = course.fault().context("find the fault noted")?;
        course.aborted = observe(run, &mut live, &fault, &course.users, lasting).await;
        if course.aborted.is_some() {
            return Ok(());
        }
    }
    Ok(())
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

/// Returns what is done at this turn; `None` when it is over.
fn action(drill: &Drill, number: u32, elapsed: Duration) -> Option<&Action> {
    let count = drill.actions.len();
    match &drill.repeat {
        None => drill.actions.get(number as usize),
        Some(repeat) if elapsed >= repeat.lasting => None,
        Some(_) => drill.actions.get((number as usize).checked_rem(count)?),
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
fn seed(drill: &Drill, number: u32) -> u64 {
    let is_anew = drill.repeat.as_ref().is_some_and(|repeat| repeat.aim == Aim::Anew);
    let turn = if is_anew { number } else { 0 };
    // Runs of a series count their seeds up by one.
    drill.seed.wrapping_add(u64::from(turn) << 32)
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

    #[test]
    fn each_action_has_its_turn_once() {
        let drill = drill(None);
        let name = |number| action(&drill, number, seconds(500)).map(|a| a.name.clone());
        assert_eq!(name(0), Some("kill-region".to_owned()));
        assert_eq!(name(1), Some("second".to_owned()));
        assert_eq!(name(2), None);
        assert_eq!(observed(&drill, &drill.actions[0], 0, seconds(500)), seconds(12));
    }

    #[test]
    fn repeated_actions_take_turns_at_an_even_pace_until_the_time_is_over() {
        let drill = drill(Some(repeat(Aim::Anew)));
        let name = |number, at| action(&drill, number, seconds(at)).map(|a| a.name.clone());
        assert_eq!(name(2, 20), Some("kill-region".to_owned()));
        assert_eq!(name(5, 59), Some("second".to_owned()));
        assert_eq!(name(6, 60), None);
        assert_eq!(observed(&drill, &drill.actions[0], 2, seconds(21)), seconds(9));
        assert_eq!(observed(&drill, &drill.actions[0], 2, seconds(35)), seconds(0));
    }

    #[test]
    fn what_is_done_together_has_one_seed_and_what_is_repeated_each_its_own() {
        let together = drill(None);
        assert_eq!((seed(&together, 0), seed(&together, 1)), (together.seed, together.seed));
        let repeated = drill(Some(repeat(Aim::Anew)));
        assert_eq!(seed(&repeated, 0), repeated.seed);
        assert_ne!(seed(&repeated, 1), repeated.seed);
        assert_ne!(seed(&repeated, 1), seed(&repeated, 2));
        let same = drill(Some(repeat(Aim::Same)));
        assert_eq!((seed(&same, 1), seed(&same, 2)), (same.seed, same.seed));
    }
}
