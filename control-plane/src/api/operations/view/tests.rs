use topology::Epoch;

use super::*;
use crate::decide::operation::{Asked, Goal};

const TOOK_MS: u64 = 2_000;
const PAUSE_MS: u64 = 10_000;

#[test]
fn what_is_left_is_the_moves_of_each_wave_and_the_pauses_between_waves() {
    // Of five moves in a wave four go on at once.
    check(&[0, 5, 1], 2 * TOOK_MS + PAUSE_MS + TOOK_MS);
    check(&[5], 2 * TOOK_MS);
    check(&[0, 4], TOOK_MS);
    check(&[0], 0);
}

#[test]
fn what_has_ended_takes_no_time_and_is_paused_after_no_more() {
    let mut operation = evacuation(&[0, 5, 1]);
    end(&mut operation.waves[0]);
    end(&mut operation.waves[1][..4]);
    assert_eq!(left(&operation), Some(TOOK_MS + PAUSE_MS + TOOK_MS));
    end(&mut operation.waves[1]);
    assert_eq!(left(&operation), Some(TOOK_MS));
    end(&mut operation.waves[2]);
    operation.status = Status::Done;
    assert_eq!(left(&operation), None);
}

#[test]
fn nothing_is_expected_before_the_first_move_nor_of_what_was_cancelled() {
    let operation = evacuation(&[0, 1]);
    assert_eq!(view("op-000001", &operation, None).eta_ms, None);
    let cancelled = Operation { status: Status::Cancelled, ..operation };
    assert_eq!(left(&cancelled), None);
}

#[track_caller]
fn check(waves: &[u8], expected_ms: u64) {
    assert_eq!(left(&evacuation(waves)), Some(expected_ms), "{waves:?}");
}

fn left(operation: &Operation) -> Option<u64> {
    let expected =
        Expected { moves: 3, took_ms: TOOK_MS, hold_ms: Some(200), longest_hold_ms: Some(900) };
    view("op-000001", operation, Some(&expected)).eta_ms
}

/// One with as many moves in each wave; a wave of none marks the region.
fn evacuation(waves: &[u8]) -> Operation {
    let wave = |moves: &u8| match moves {
        0 => vec![What::Drain(region("east"))],
        moves => (1..=*moves).map(moved).collect(),
    };
    let asked = Asked {
        who: "mei".to_owned(),
        vantage: region("north"),
        at_unix_ms: 1,
        reason: None,
        override_rules: Vec::new(),
        idempotency_key: None,
    };
    let waves = waves.iter().map(wave).collect();
    Operation::new(Goal::Evacuate(region("east")), asked, PAUSE_MS, waves)
}

fn moved(number: u8) -> What {
    let cell = format!("c{number}").parse().unwrap();
    What::Move(Move { cell, from: region("east"), to: region("south"), epoch: Epoch(7) })
}

fn end(steps: &mut [Step]) {
    for step in steps {
        step.state = StepState::Skipped("it is done".to_owned());
    }
}

fn region(id: &str) -> topology::RegionId {
    id.parse().unwrap()
}
