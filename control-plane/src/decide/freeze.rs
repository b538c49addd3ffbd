//! Which operations wait as long as everything is frozen: those that have yet to move a cell, or to keep a
//! site out or let one in.
//!
//! ```text
//!                      | move                    | retire, add | drain, undrain, elect
//!  yet to begin        | waits                   | waits       | goes on
//!  recorded as begun   | waits if that is noted  | goes on     | goes on
//!  to be taken back    | -                       | goes on     | goes on
//! ```
//!
//! A move is recorded as begun before its cell shows it. Whoever carries it out brings it to its end; who
//! finds that it has yet to begin at its cell, or anew, notes that it waits. What is cancelled waits for
//! nothing: such a move is left out.
//!
//! The steps themselves are held where they would begin (`operation::advance`): here it is told ahead.

use topology::Phase;

use super::State;
use super::operation::{Move, Operation, Status, Step, StepState, What};

impl Operation {
    /// Whether it waits for the end of the freeze that holds, or would of one that is about to.
    #[must_use]
    pub fn is_held_by_a_freeze(&self, state: &State) -> bool {
        self.status == Status::Running
            && self.cancel.is_none()
            && self.steps().any(|step| self.is_held(step, state))
    }

    fn is_held(&self, step: &Step, state: &State) -> bool {
        match (&step.state, &step.what) {
            (StepState::Waiting, What::Move(_) | What::Retire(_) | What::Add(_)) => {
                self.begins_more()
            }
            (StepState::Going { .. }, What::Move(planned)) => {
                self.waits_for.is_some() && has_yet_to_begin(planned, state)
            }
            (StepState::Waiting, What::Drain(_) | What::Undrain(_) | What::Elect(_))
            | (
                StepState::Going { .. },
                What::Drain(_) | What::Undrain(_) | What::Elect(_) | What::Retire(_) | What::Add(_),
            )
            | (StepState::Done { .. } | StepState::Skipped(_) | StepState::Failed(_), _) => false,
        }
    }

    /// Whether steps that wait for their turn will have one.
    fn begins_more(&self) -> bool {
        let has_failed = |step: &Step| matches!(step.state, StepState::Failed(_));
        !self.steps().any(has_failed)
    }
}

/// Whether the cell is active elsewhere, and not on its way.
fn has_yet_to_begin(planned: &Move, state: &State) -> bool {
    let phase = state.cells().get(&planned.cell).map(|seen| &seen.routed.activation.phase);
    matches!(phase, Some(Phase::Steady { active }) if *active != planned.to)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::decide::operation::advance::{Situation, advance, cancelled};
    use crate::decide::operation::memory::Memory;
    use crate::decide::safety::world::World;

    const AWAY: &str = "c1 is in south, c2 is in south";
    const ELECTED_ELSEWHERE: &str =
        "c1 is in south, c2 is in south; c1 is in north, c2 is in north";
    const OUT: &str = "c1@south is kept out, c1@south has left";
    const LEFT: &str = "east is drained; c1 is in north, c2 is in north";
    const ELECTING: &str = "east is drained; c1 is electing, c2 is electing";
    const DRAINED: &str = "east is drained";

    /// The world when it is asked for, and since; the goal; how far each step has come; whether it would wait
    /// for a freeze, and whether it does once one holds and nobody carries out what is recorded as begun.
    const TABLE: &[(&str, &str, &str, bool, bool)] = &[
        ("", "evacuate east", "waiting waiting waiting", true, true),
        (DRAINED, "evacuate east", "done waiting waiting", true, true),
        (DRAINED, "evacuate east", "done going waiting", true, true),
        (DRAINED, "evacuate east", "done done going", false, true),
        (ELECTING, "evacuate east", "done done going", false, false),
        (LEFT, "evacuate east", "done done going", false, false),
        (DRAINED, "evacuate east", "done done failed", false, false),
        (DRAINED, "evacuate east", "done failed waiting", false, false),
        (DRAINED, "evacuate east", "done failed going", false, true),
        (AWAY, "restore east", "waiting waiting waiting", true, true),
        (AWAY, "restore east", "done done going", false, true),
        (ELECTED_ELSEWHERE, "restore east", "done done going", false, true),
        ("", "drain east", "waiting", false, false),
        ("", "drain east", "going", false, false),
        (DRAINED, "undrain east", "waiting", false, false),
        (DRAINED, "undrain east", "going", false, false),
        ("", "retire-site c1@south", "waiting", true, true),
        ("", "retire-site c1@south", "going", false, false),
        (OUT, "add-site c1@south", "waiting", true, true),
        (OUT, "add-site c1@south", "going", false, false),
        ("", "switchover c1@south", "waiting", true, true),
        ("", "switchover c1@south", "going", false, true),
        ("", "switchover c1@south", "done", false, false),
        ("c1 is electing", "failover c1@south", "waiting", false, false),
        ("c1 is electing", "failover c1@south", "going", false, false),
        ("c1 is electing", "failover c1@south", "done", false, false),
    ];

    #[test]
    fn who_has_yet_to_move_something_waits_for_a_freeze() {
        for (said, goal, steps, would, waits) in TABLE.iter().copied() {
            check(
                situation(said, goal, steps),
                (would, waits),
                &format!("{goal}, {said:?}: {steps}"),
            );
        }
    }

    #[test]
    fn what_is_cancelled_does_not_wait() {
        for steps in ["done waiting waiting", "done going waiting", "done done going"] {
            let (world, operation) = situation(DRAINED, "evacuate east", steps);
            check((world, cancelled(&operation, "token 2", 5)), (false, false), steps);
        }
    }

    #[test]
    fn what_is_taken_back_does_not_wait() {
        let (world, mut operation) = situation("", "retire-site c1@south", "waiting");
        operation.status = Status::Undoing;
        assert!(!operation.is_held_by_a_freeze(&world.state(Instant::now())));
    }

    /// Holds what is told against what the operation does.
    #[track_caller]
    fn check((mut world, operation): (World, Operation), expected: (bool, bool), about: &str) {
        let now = Instant::now();
        let before = operation.is_held_by_a_freeze(&world.state(now));
        world.say("frozen");
        let operation = carried_on(&mut world, operation);
        let waits = operation.is_held_by_a_freeze(&world.state(now));
        assert_eq!((before, waits), expected, "{about}");
        let held = operation.waits_for.is_some_and(|why| why.starts_with("frozen: "));
        assert_eq!(held, waits, "{about}");
    }

    /// Two cells at home in the east, and an operation as far as its steps say.
    fn situation(said: &str, goal: &str, steps: &str) -> (World, Operation) {
        let mut world = World::new("east east", 10);
        let (asked, since) = said.split_once("; ").unwrap_or((said, ""));
        world.say(asked);
        let mut operation = world.operation(goal, Instant::now());
        let states: Vec<&str> = steps.split(' ').collect();
        assert_eq!(operation.steps().count(), states.len(), "{goal}");
        for (step, state) in operation.waves.iter_mut().flatten().zip(states) {
            step.state = match state {
                "waiting" => StepState::Waiting,
                "going" => StepState::Going { attempt: 1, since_unix_ms: 1 },
                "done" => StepState::Done { took_ms: 1, hold_ms: None, epoch: None },
                "failed" => StepState::Failed("it was refused".to_owned()),
                other => panic!("{other:?} is no state"),
            };
        }
        world.say(since);
        (world, operation)
    }

    /// Goes on with the operation, its marks carried out and its cells left alone, until nothing changes any
    /// more.
    fn carried_on(world: &mut World, mut operation: Operation) -> Operation {
        let now = Instant::now();
        for _ in 0..10 {
            let state = world.state(now);
            let at = Situation { state: &state, spec: &world.spec, now, unix_ms: 9 };
            let ahead = advance(&operation, &Memory::default(), at);
            for (wave, index) in ahead.carry_out {
                match &operation.waves[wave][index].what {
                    What::Drain(region) => world.say(&format!("{region} is drained")),
                    What::Undrain(region) => world.say(&format!("{region} is a target")),
                    What::Move(planned) => panic!("{} is moved", planned.cell),
                    What::Elect(_) | What::Retire(_) | What::Add(_) => {}
                }
            }
            operation = ahead.next.unwrap_or(operation);
        }
        operation
    }
}
