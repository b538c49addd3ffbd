use topology::wire::agent::TenureName;
use topology::wire::vantage::{Health, SightedSite};
use topology::{Activation, Epoch, Phase};

use topology::invariant::Invariant;

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
    let lease = Lease { holder: region("north"), epoch: Epoch(1), sequence: 1 };
    empty.leases.insert("c2".parse().unwrap(), Kept::at(11, lease));
    state.saw(Fact::Read(empty), now);
    assert_eq!(epoch(&state), Epoch(7));
}

#[test]
fn a_lease_counts_from_when_its_revision_was_first_seen() {
    let (mut state, start) = (State::default(), Instant::now());
    for (seconds, revision) in [(0, 11), (1, 11), (2, 12), (3, 12)] {
        let mut reading = reading(7, 10);
        let lease = Lease { holder: region("east"), epoch: Epoch(7), sequence: 1 };
        reading.leases.insert("c1".parse().unwrap(), Kept::at(revision, lease));
        state.saw(Fact::Read(reading), start + Duration::from_secs(seconds));
    }
    let lease = state.cells()[&"c1".parse().unwrap()].lease.clone().unwrap();
    assert_eq!((lease.revision, lease.since), (12, start + Duration::from_secs(2)));
}

#[test]
fn a_renewal_that_comes_late_counts_from_when_the_site_was_heard_to_send_it() {
    // When it was heard to be sent, and when etcd had it.
    let since = |heard: &[(u64, u64, u64)], sequence| {
        let (mut state, start) = (State::default(), Instant::now());
        let second = |seconds| start + Duration::from_secs(seconds);
        for &(at, epoch, sequence) in heard {
            let (site, epoch) = ("c1@east".parse().unwrap(), Epoch(epoch));
            state.saw(Fact::Renewing { site, epoch, sequence }, second(at));
        }
        let mut reading = reading(7, 10);
        let lease = Lease { holder: region("east"), epoch: Epoch(7), sequence };
        reading.leases.insert("c1".parse().unwrap(), Kept::at(11, lease));
        state.saw(Fact::Read(reading), second(9));
        let lease = state.cells()[&"c1".parse().unwrap()].lease.clone().unwrap();
        (lease.since - start).as_secs()
    };
    assert_eq!(since(&[(1, 7, 41), (2, 7, 42), (3, 7, 43)], 42), 2);
    assert_eq!(since(&[(2, 7, 42), (4, 7, 42)], 42), 2, "heard twice");
    assert_eq!(since(&[], 42), 9);
    assert_eq!(since(&[(9, 7, 42)], 42), 9, "as it should be");
    assert_eq!(since(&[(2, 6, 42)], 42), 9, "another epoch's");
    assert_eq!(since(&[(2, 7, 43)], 42), 9, "a machine that restarted counts from elsewhere");
    let many: Vec<_> = (0..9).map(|at| (at, 7, 40 + at)).collect();
    assert_eq!((since(&many, 40), since(&many, 41)), (9, 1), "eight are kept");
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

#[test]
fn a_later_generation_is_taken_though_its_revisions_are_lower() {
    let (mut state, now) = (State::default(), Instant::now());
    state.saw(Fact::Read(reading(7, 100)), now);
    // Before anybody has begun the next generation it looks like a stale answer.
    assert_eq!(state.saw(Fact::Read(reading(7, 60)), now), []);
    assert_eq!(version(&state), Version(100));
    state.saw(Fact::Read(under_generation(1, reading(7, 60))), now);
    assert_eq!((epoch(&state), version(&state)), (Epoch(7), Version::at(1, 60)));
    assert_eq!(state.cells()[&c1()].revision, 60);
}

#[test]
fn an_epoch_does_not_go_back_with_etcd_until_somebody_writes_a_later_one() {
    let (mut state, start) = (State::default(), Instant::now());
    let second = |seconds| start + Duration::from_secs(seconds);
    state.saw(Fact::Read(reading(7, 100)), second(0));
    let told = state.saw(Fact::Read(under_generation(1, reading(5, 60))), second(1));
    assert_eq!(told[0].witness, "cell c1 went from epoch 7 back to 5");
    // Told once, remembered since when, and other cells go on.
    assert_eq!(state.saw(Fact::Read(under_generation(1, reading(5, 60))), second(2)), []);
    let older = Older { epoch: Epoch(5), revision: 60, since: second(1) };
    assert_eq!((epoch(&state), state.cells()[&c1()].older.clone()), (Epoch(7), Some(older)));
    state.saw(Fact::Read(under_generation(1, reading(8, 61))), second(3));
    assert_eq!((epoch(&state), state.cells()[&c1()].older.clone()), (Epoch(8), None));
}

#[test]
fn a_record_that_is_gone_is_an_older_one() {
    let (mut state, now) = (State::default(), Instant::now());
    state.saw(Fact::Read(reading(7, 100)), now);
    let empty = Reading { generation: Version::at(1, 2), ..Reading::default() };
    state.saw(Fact::Read(empty), now);
    let older = Older { epoch: Epoch(0), revision: 0, since: now };
    assert_eq!((epoch(&state), state.cells()[&c1()].older.clone()), (Epoch(7), Some(older)));
    assert!(!state.placement_is_stored());
}

#[test]
fn voters_may_change_under_an_epoch() {
    let (mut state, now) = (State::default(), Instant::now());
    state.saw(Fact::Read(reading(7, 10)), now);
    let mut fewer = reading(7, 11);
    let kept = fewer.cells.get_mut(&c1()).unwrap();
    kept.value.activation.voters.remove(&region("south"));
    assert_eq!(state.saw(Fact::Read(fewer), now), []);
    let seen = &state.cells()[&c1()];
    assert_eq!(seen.routed.activation.voters, [region("north")].into());
    assert_eq!((seen.revision, epoch(&state)), (11, Epoch(7)));
}

#[test]
fn an_alert_is_known_since_it_was_first_seen() {
    let (mut state, start) = (State::default(), Instant::now());
    let site: SiteId = "c1@east".parse().unwrap();
    for (second, detail) in [(0, "3 segments wait"), (9, "5 segments wait")] {
        let mut report = report();
        report.alerts.insert("archive-failing".to_owned(), detail.to_owned());
        let answer = Some(report);
        let now = start + Duration::from_secs(second);
        state.saw(Fact::Probed { site: site.clone(), answer }, now);
    }
    let alert = Alert { detail: "5 segments wait".to_owned(), since: start };
    let expected = [("archive-failing".to_owned(), alert)].into();
    assert_eq!(*state.site(&site.cell, &site.region).alerts(), expected);
    state.saw(Fact::Probed { site: site.clone(), answer: Some(report()) }, start);
    assert!(state.site(&site.cell, &site.region).alerts().is_empty());
}

#[test]
fn what_a_vantage_said_last_before_it_fell_silent_casts_no_doubt() {
    let (mut state, start) = (State::default(), Instant::now());
    let site: SiteId = "c1@east".parse().unwrap();
    let sighted = SightedSite { health: Health::Slow, ..SightedSite::default() };
    let report = VantageReport { sequence: 1, sites: [(site.to_string(), sighted)].into() };
    state.saw(Fact::Told { vantage: region("south"), report }, start);
    let doubted =
        [0, 4, 6].map(|second| state.is_doubted(&site, start + Duration::from_secs(second)));
    assert_eq!(doubted, [true, true, false]);
}

#[test]
fn a_frozen_cell_thaws_when_its_lease_is_renewed_or_somebody_is_promoted() {
    let now = Instant::now();
    let frozen = || {
        let mut state = State::default();
        state.saw(Fact::Read(leased(reading(7, 10), 11)), now);
        state.saw(Fact::Frozen { cell: c1(), why: "too few votes".to_owned() }, now);
        state.saw(Fact::Read(leased(reading(7, 10), 11)), now);
        assert_eq!(state.frozen()[&c1()].why, "too few votes");
        state
    };
    let mut state = frozen();
    state.saw(Fact::Read(leased(reading(7, 10), 12)), now);
    assert!(state.frozen().is_empty(), "renewed");
    let mut state = frozen();
    let mut next = reading(9, 12);
    let kept = next.cells.get_mut(&c1()).unwrap();
    kept.value.activation.phase = Phase::Promoting { active: region("north") };
    state.saw(Fact::Read(leased(next, 11)), now);
    assert!(state.frozen().is_empty(), "promoted");
}

#[test]
fn a_renewal_counts_from_when_it_was_heard_of() {
    let begun = Instant::now();
    let at = |ms| begun + Duration::from_millis(ms);
    let mut state = State::default();
    state.saw(Fact::Read(leased(reading(7, 10), 11)), at(0));
    let mut next = leased(reading(7, 10), 12);
    next.renewed.insert(c1(), at(300));
    state.saw(Fact::Read(next.clone()), at(400));
    let since = |state: &State| state.cells()[&c1()].lease.as_ref().unwrap().since;
    assert_eq!(since(&state), at(300));
    // Read again it is the same renewal, whenever that is.
    next.renewed.clear();
    state.saw(Fact::Read(next), at(500));
    assert_eq!(since(&state), at(300));
    state.saw(Fact::Read(leased(reading(7, 10), 13)), at(600));
    assert_eq!(since(&state), at(600));
}

/// The same, read after etcd has gone back and somebody has noticed.
fn under_generation(generation: u64, mut reading: Reading) -> Reading {
    for kept in reading.cells.values_mut() {
        kept.version = Version::at(generation, kept.revision);
    }
    reading.generation = Version::at(generation, 1);
    reading
}

fn leased(mut reading: Reading, revision: u64) -> Reading {
    let lease = Lease { holder: region("east"), epoch: Epoch(7), sequence: 1 };
    reading.leases.insert(c1(), Kept::at(revision, lease));
    reading
}

fn version(state: &State) -> Version {
    state.cells()[&c1()].version
}

fn c1() -> CellId {
    "c1".parse().unwrap()
}

fn report() -> SiteReport {
    SiteReport {
        sequence: 1,
        tenure: TenureName::Serving,
        epoch: 7,
        postgres: "primary".to_owned(),
        lsn: 1,
        timeline: 1,
        lag_bytes: BTreeMap::new(),
        flush: None,
        room: None,
        services: BTreeMap::new(),
        at_risk: false,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}

fn reading(epoch: u64, revision: u64) -> Reading {
    let activation = Activation {
        epoch: Epoch(epoch),
        phase: Phase::Steady { active: region("east") },
        voters: [region("north"), region("south")].into(),
        retired: [].into(),
        acks: 1,
        system: Some(1),
        elected_at: None,
        cause: None,
        reason: String::new(),
    };
    let value = RoutedCell { activation, gateways: BTreeMap::new() };
    let cells = [("c1".parse().unwrap(), Kept::at(revision, value))].into();
    Reading { cells, ..Reading::default() }
}

fn epoch(state: &State) -> Epoch {
    state.cells()[&"c1".parse().unwrap()].routed.activation.epoch
}

fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}
