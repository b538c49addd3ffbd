//! An operation that is carried out on a world of words, with an executor that may die.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Advance, Fate, Situation, advance, fates, taken_over};
use crate::decide::operation::memory::{Answer, Memory, Place};
use crate::decide::operation::{Election, Move, Operation, What};
use crate::decide::plan::plan;
use crate::decide::plan::tests::goal_of;
use crate::decide::safety;
use crate::decide::safety::world::World;

/// At which point of a step an executor dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Died {
    BeforeWriting,
    AfterWriting,
    AfterCarryingOut,
}

impl Died {
    pub(super) const ALL: [Self; 3] =
        [Self::BeforeWriting, Self::AfterWriting, Self::AfterCarryingOut];
}

/// An operation, its executor and the world they are in.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) operation: Operation,
    pub(super) memory: Memory,
    pub(super) first: Instant,
    pub(super) now: Instant,
    /// What was carried out.
    pub(super) log: Vec<String>,
    /// How many moves are refused before one is done.
    pub(super) refuses: usize,
    /// How many moves end where they began, and elections without a winner.
    pub(super) elects_again: usize,
    /// The active site lets no voter leave or join.
    pub(super) nobody_leaves_or_joins: bool,
}

impl Run {
    pub(super) fn new(homes: &str, goal: &str) -> Self {
        Self::of(World::new(homes, 10), goal)
    }

    pub(super) fn of(world: World, goal: &str) -> Self {
        let now = Instant::now();
        let plan = plan(&goal_of(goal), &world.state(now), &world.spec, now);
        assert_eq!(plan.broken, []);
        let operation = world.operation(goal, now);
        let (memory, log) = (Memory::default(), Vec::new());
        Self {
            world,
            operation,
            memory,
            first: now,
            now,
            log,
            refuses: 0,
            elects_again: 0,
            nobody_leaves_or_joins: false,
        }
    }

    pub(super) fn say(&mut self, what: &str) {
        self.world.say(what);
    }

    pub(super) fn sites(&self) -> String {
        self.world.voters("c1")
    }

    pub(super) fn later(&mut self, by: Duration) {
        self.now += by;
    }

    pub(super) fn look(&mut self) -> Advance {
        let state = self.world.state(self.now);
        self.memory.look(&self.operation, self.now);
        if safety::frozen(&state, self.now).is_some() {
            self.memory.held_up(self.now);
        }
        let at = Situation { state: &state, spec: &self.world.spec, now: self.now, unix_ms: 9 };
        advance(&self.operation, &self.memory, at)
    }

    /// What would become of the steps if it were cancelled now.
    pub(super) fn fates(&self) -> Vec<(Place, Fate)> {
        let state = self.world.state(self.now);
        let at = Situation { state: &state, spec: &self.world.spec, now: self.now, unix_ms: 9 };
        fates(&self.operation, at)
    }

    /// Writes what is to be written, and returns whether anything was.
    pub(super) fn write(&mut self) -> bool {
        match self.look().next {
            Some(next) => self.operation = next,
            None => return false,
        }
        true
    }

    pub(super) fn carry_out(&mut self, (wave, index): Place) -> Answer {
        let what = self.operation.waves[wave][index].what.clone();
        self.log.push(format!("wave {wave}: {what}"));
        match what {
            What::Drain(region) => self.world.say(&format!("{region} is drained")),
            What::Undrain(region) => self.world.say(&format!("{region} is a target")),
            What::Retire(site) => {
                self.world.say(&format!("{site} is kept out"));
                if !self.nobody_leaves_or_joins {
                    self.world.say(&format!("{site} has left"));
                }
            }
            What::Add(site) => {
                self.world.say(&format!("{site} is let in"));
                if !self.nobody_leaves_or_joins {
                    self.world.say(&format!("{site} votes"));
                }
            }
            What::Move(_) | What::Elect(_) if self.refuses > 0 => {
                self.refuses -= 1;
                return Answer::Refused("busy".to_owned());
            }
            What::Elect(Election { cell, .. }) if self.elects_again > 0 => {
                self.world.say(&format!("{cell} is electing"));
            }
            What::Elect(Election { cell, to, .. }) => {
                let to = to.map_or("south".to_owned(), |to| to.to_string());
                self.world.say(&format!("{cell} is in {to}"));
            }
            What::Move(Move { cell, from, .. }) if self.elects_again > 0 => {
                self.elects_again -= 1;
                self.world.say(&format!("{cell} is in {from}"));
                return Answer::Refused("it did not hand over".to_owned());
            }
            What::Move(Move { cell, to, .. }) => self.world.say(&format!("{cell} is in {to}")),
        }
        Answer::Done(None)
    }

    /// Looks once, and does what is to be done.
    pub(super) fn round(&mut self) {
        if self.write() {
            return;
        }
        for place in self.look().carry_out {
            self.memory.begun(place, self.now);
            let answer = self.carry_out(place);
            self.memory.answered(place, answer, self.now);
        }
    }

    pub(super) fn until_it_ends(&mut self) {
        for _ in 0..3000 {
            if self.operation.status.has_ended() {
                return;
            }
            self.round();
            self.later(Duration::from_millis(500));
        }
        panic!("it never ends: {:?}", self.operation);
    }

    /// Goes as far as the step with this number, dies there, and is followed by another executor.
    /// Returns whether there was such a step.
    pub(super) fn dies(&mut self, step: usize, died: Died) -> bool {
        let mut number = 0;
        while !self.operation.status.has_ended() {
            let Advance { next, carry_out } = self.look();
            let last = number == step;
            if last && died == Died::BeforeWriting {
                break;
            }
            if let Some(next) = next {
                self.operation = next;
                number += 1;
            }
            if last && died == Died::AfterWriting {
                break;
            }
            for place in carry_out {
                self.memory.begun(place, self.now);
                let answer = self.carry_out(place);
                if last && died == Died::AfterCarryingOut {
                    break;
                }
                self.memory.answered(place, answer, self.now);
            }
            if last && died == Died::AfterCarryingOut {
                break;
            }
            self.later(Duration::from_millis(500));
        }
        let reached = !self.operation.status.has_ended();
        self.memory = Memory::default();
        self.operation = taken_over(&self.operation, &"south".parse().unwrap());
        reached
    }

    #[track_caller]
    pub(super) fn ended(&self, status: &str, active: &str, drained: &str) {
        let found = (self.operation.status.name(), self.world.active(), self.world.drained());
        assert_eq!(found, (status, active.to_owned(), drained.to_owned()), "{:?}", self.operation);
    }
}
