use proptest::prelude::*;

use super::*;
use crate::history::fixture::ms;

fn set(begun: u64, ended: u64, from: u64) -> Call {
    Call { number: 0, act: Act::Set { from }, begun: ms(begun), ended: ms(ended) }
}

fn maybe_set(begun: u64, from: u64) -> Call {
    Call { number: 0, act: Act::MaybeSet { from }, begun: ms(begun), ended: Duration::MAX }
}

fn found(begun: u64, ended: u64, value: u64) -> Call {
    Call { number: 0, act: Act::Found { value }, begun: ms(begun), ended: ms(ended) }
}

fn order_of(calls: &[Call]) -> Order {
    order(calls, 1, PLACES_MAX)
}

#[test]
fn calls_at_the_same_time_may_have_happened_in_any_order() {
    // The second set began first, and the read that ended last saw neither of them.
    let calls = [set(0, 50, 2), set(10, 40, 1), found(5, 60, 1), found(45, 70, 3)];
    assert_eq!(order_of(&calls), Order::Exists);
}

#[test]
fn what_was_over_came_before_what_began_later() {
    assert_eq!(order_of(&[set(0, 10, 1), found(20, 30, 1)]), Order::Impossible);
    assert_eq!(order_of(&[found(0, 10, 2), set(20, 30, 1)]), Order::Impossible);
}

#[test]
fn two_cannot_both_have_set_it_from_the_same_value() {
    assert_eq!(order_of(&[set(0, 10, 1), set(5, 15, 1)]), Order::Impossible);
    assert_eq!(order_of(&[set(0, 10, 1), maybe_set(5, 1)]), Order::Exists);
}

#[test]
fn what_was_not_answered_may_happen_late_or_never_but_once() {
    let lost = maybe_set(0, 1);
    assert_eq!(order_of(&[lost, found(10, 20, 1), found(30, 40, 2)]), Order::Exists);
    assert_eq!(order_of(&[lost, found(10, 20, 1)]), Order::Exists);
    assert_eq!(order_of(&[lost, found(10, 20, 2), found(30, 40, 1)]), Order::Impossible);
    assert_eq!(order_of(&[lost, found(10, 20, 3)]), Order::Impossible);
}

#[test]
fn who_must_look_at_too_many_places_does_not_know() {
    let calls = [set(0, 10, 1), set(20, 30, 2), found(40, 50, 1)];
    assert_eq!(order(&calls, 1, 2), Order::Unknown);
    assert_eq!(order(&calls, 1, 3), Order::Impossible);
}

#[test]
fn the_witness_ends_with_the_first_answer_that_does_not_fit_and_has_no_other_reads() {
    let bad = found(40, 45, 1);
    let calls = [found(0, 5, 1), set(6, 9, 1), found(10, 15, 2), bad, set(50, 55, 2)];
    assert_eq!(witness(&calls, 1, PLACES_MAX), [set(6, 9, 1), bad]);
}

/// A register's history as it may be: calls whose moments are one after the other, and which began
/// somewhat before and ended somewhat after them.
fn histories() -> impl Strategy<Value = Vec<Call>> {
    let call = (0_u8..4, 1_u64..30, 0_u64..60, 0_u64..60);
    prop::collection::vec(call, 1..40).prop_map(|drawn| {
        let (mut value, mut moment) = (1, 100);
        let mut calls = Vec::new();
        for (kind, pause, before, after) in drawn {
            moment += pause;
            let (begun, ended) = (moment - before, moment + after);
            calls.push(match kind {
                0 => found(begun, ended, value),
                // One that was overtaken, or was lost on its way.
                1 => maybe_set(begun, value.saturating_sub(before % 3)),
                // One whose answer alone was lost.
                2 => {
                    value += 1;
                    maybe_set(begun, value - 1)
                }
                _ => {
                    value += 1;
                    set(begun, ended, value - 1)
                }
            });
        }
        calls
    })
}

proptest! {
    #[test]
    fn a_history_that_happened_has_an_order(calls in histories()) {
        prop_assert_eq!(order_of(&calls), Order::Exists);
    }

    #[test]
    fn a_read_of_what_was_over_has_none(calls in histories(), behind in 1_u64..4) {
        let highest = |value, act| match act {
            Act::Set { from } => from + 1,
            Act::MaybeSet { .. } => value,
            Act::Found { value } => value,
        };
        let value = calls.iter().map(|call| call.act).fold(1, |value, act| value.max(highest(value, act)));
        let mut mutated = calls;
        mutated.push(found(10_000, 10_001, value.saturating_sub(behind)));
        prop_assert_eq!(order_of(&mutated), Order::Impossible);
        let witness = witness(&mutated, 1, PLACES_MAX);
        prop_assert_eq!(order_of(&witness), Order::Impossible);
        prop_assert!(witness.len() <= mutated.len());
    }

    #[test]
    fn a_set_that_was_acknowledged_twice_has_none(calls in histories(), at in any::<prop::sample::Index>()) {
        let sets: Vec<Call> =
            calls.iter().copied().filter(|call| matches!(call.act, Act::Set { .. })).collect();
        prop_assume!(!sets.is_empty());
        let mut mutated = calls;
        mutated.push(sets[at.index(sets.len())]);
        prop_assert_eq!(order_of(&mutated), Order::Impossible);
    }
}
