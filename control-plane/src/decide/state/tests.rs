use topology::{Activation, Epoch, Phase};

use super::*;

#[test]
fn an_older_epoch_is_refused_and_told() {
    let (mut state, now) = (State::default(), Instant::now());
    assert_eq!(state.saw(Fact::Read(reading(7, 10)), now), []);
    let told = state.saw(Fact::Read(reading(6, 11)), now);
    assert_eq!(told.iter().map(|told| told.invariant).collect::<Vec<_>>(), [Invariant::I2]);
    assert_eq!(epoch(&state), Epoch(7));
}

#[test]
fn a_reading_from_before_our_own_write_changes_nothing() {
    let (mut state, now) = (State::default(), Instant::now());
    state.saw(Fact::Read(reading(7, 10)), now);
    let (cell, kept) = reading(8, 12).cells.pop_first().unwrap();
    assert_eq!(state.saw(Fact::Wrote { cell, kept }, now), []);
    assert_eq!(state.saw(Fact::Read(reading(7, 10)), now), []);
    assert_eq!(epoch(&state), Epoch(8));
}

#[test]
fn a_cell_that_vanished_is_still_known() {
    let (mut state, now) = (State::default(), Instant::now());
    state.saw(Fact::Read(reading(7, 10)), now);
    let mut empty = Reading::default();
    let lease = Lease { holder: region("north"), epoch: Epoch(1) };
    empty.leases.insert("c2".parse().unwrap(), Kept { revision: 11, value: lease });
    state.saw(Fact::Read(empty), now);
    assert_eq!(epoch(&state), Epoch(7));
}

#[test]
fn a_lease_counts_from_when_its_revision_was_first_seen() {
    let (mut state, start) = (State::default(), Instant::now());
    for (seconds, revision) in [(0, 11), (1, 11), (2, 12), (3, 12)] {
        let mut reading = reading(7, 10);
        let lease = Lease { holder: region("east"), epoch: Epoch(7) };
        reading.leases.insert("c1".parse().unwrap(), Kept { revision, value: lease });
        state.saw(Fact::Read(reading), start + Duration::from_secs(seconds));
    }
    let lease = state.cells()[&"c1".parse().unwrap()].lease.clone().unwrap();
    assert_eq!((lease.revision, lease.since), (12, start + Duration::from_secs(2)));
}

#[test]
fn a_gap_in_reading_ends_what_was_unbroken() {
    let (mut state, start) = (State::default(), Instant::now());
    let second = |seconds| start + Duration::from_secs(seconds);
    state.saw(Fact::Read(reading(7, 10)), second(0));
    state.saw(Fact::Read(reading(7, 10)), second(1));
    assert_eq!(state.unbroken_since(), Some(second(0)));
    state.saw(Fact::ReadFailed, second(2));
    assert_eq!(state.unbroken_since(), Some(second(0)));
    state.saw(Fact::Read(reading(7, 10)), second(2));
    assert_eq!(state.unbroken_since(), Some(second(2)));
    // The reader itself stood still.
    state.saw(Fact::Read(reading(7, 10)), second(9));
    assert_eq!(state.unbroken_since(), Some(second(9)));
}

fn reading(epoch: u64, revision: u64) -> Reading {
    let activation = Activation {
        epoch: Epoch(epoch),
        phase: Phase::Steady { active: region("east") },
        voters: [region("north"), region("south")].into(),
        acks: 1,
        system: Some(1),
        reason: String::new(),
    };
    let value = RoutedCell { activation, gateways: BTreeMap::new() };
    let cells = [("c1".parse().unwrap(), Kept { revision, value })].into();
    Reading { cells, ..Reading::default() }
}

fn epoch(state: &State) -> Epoch {
    state.cells()[&"c1".parse().unwrap()].routed.activation.epoch
}

fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}
