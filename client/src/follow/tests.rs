use proptest::prelude::*;
use topology::snapshot::{MOVES_MAX, RoutedCell};
use topology::{Activation, CellId, Epoch, Phase, Placement, SLOTS, Slot};

use super::*;

#[test]
fn a_hostile_snapshot_is_refused_counted_once_and_the_old_one_stays() {
    let follower = follower("hostile");
    take(&follower, &stored(5, &snapshot(&[("c1", 3), ("c2", 1)]))).unwrap();
    let half = {
        let mut half = snapshot(&[("c1", 3), ("c2", 1)]);
        let owners = half.placement.owners().iter().map(|owner| 1 - owner).collect();
        half.placement =
            Placement::try_new(Version(0), half.placement.cells().to_vec(), owners).unwrap();
        half
    };
    let unreachable = {
        let mut unreachable = snapshot(&[("c1", 3), ("c2", 1)]);
        unreachable.cells.values_mut().for_each(|cell| cell.gateways.clear());
        unreachable
    };
    for (offered, code) in [
        (stored(4, &snapshot(&[("c1", 3), ("c2", 1)])), "older-version"),
        (stored(6, &snapshot(&[("c1", 2), ("c2", 1)])), "older-epoch"),
        (stored(7, &snapshot(&[("c1", 3)])), "shrunken"),
        (stored(8, &half), "too-many-moves"),
        (stored(9, &unreachable), "no-gateway"),
        (vec![entry(10, key::PLACEMENT, b"{\"cells\": 7}".to_vec())], "malformed"),
    ] {
        for _again in 0..3 {
            take(&follower, &offered).unwrap_err();
        }
        assert_eq!(follower.refused().borrow().counts.get(code), Some(&1), "{code}");
        let Followed { snapshot, stale, .. } = follower.latest().borrow().clone().unwrap();
        assert_eq!((snapshot.version, stale), (Version(5), false));
    }
    let last = follower.refused().borrow().last.clone().unwrap();
    assert!(last.starts_with("snapshot 10 refused: not the expected JSON"), "{last}");
}

#[test]
fn where_no_placement_was_read_it_is_the_one_from_before() {
    let follower = follower("placed");
    let mut placed = None;
    follower.offer(&stored(5, &snapshot(&[("c1", 3)])), &mut placed).unwrap();
    let placement = follower.latest().borrow().as_ref().unwrap().snapshot.placement.clone();
    let mut moved = stored(6, &snapshot(&[("c1", 4)]));
    moved.retain(|entry| entry.key != key::PLACEMENT);
    assert!(follower.offer(&moved, &mut None).unwrap().is_none(), "no placement is known");
    follower.offer(&moved, &mut placed).unwrap();
    let Followed { snapshot, .. } = follower.latest().borrow().clone().unwrap();
    assert_eq!((snapshot.version, &snapshot.placement), (Version(6), &placement));
}

#[test]
fn what_could_not_be_kept_is_kept_when_there_is_room() {
    let follower = follower("unkept");
    let folder = follower.kept.folder().to_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    let offered = stored(5, &snapshot(&[("c1", 3)]));
    assert!(take(&follower, &offered).unwrap_err().starts_with("write "));
    assert!(follower.latest().borrow().is_some(), "it is in use");
    std::fs::create_dir_all(&folder).unwrap();
    take(&follower, &offered).unwrap();
    assert_eq!(follower.kept.newest().unwrap().version, Version(5));
}

#[test]
fn a_rollback_is_heeded_survives_a_restart_and_ends_with_a_newer_version() {
    let follower = follower("rollback");
    let folder = follower.kept.folder().to_owned();
    let mut moved = snapshot(&[("c1", 7)]);
    take(&follower, &stored(5, &snapshot(&[("c1", 3)]))).unwrap();
    let gateways = &mut moved.cells.values_mut().next().unwrap().gateways;
    gateways.insert("east".parse().unwrap(), "127.9.9.9:1".parse().unwrap());
    take(&follower, &stored(6, &moved)).unwrap();
    assert_eq!(in_use(&follower), "version 6, epoch 7 at 127.9.9.9:1");

    Rollback { from: Version(6), to: Version(5) }.write(&folder).unwrap();
    follower.heed_rollback().unwrap();
    assert_eq!(in_use(&follower), "version 6, epoch 7 at 127.1.1.1:8000, rolled back to 5");
    // etcd goes on saying what it said.
    take(&follower, &stored(6, &moved)).unwrap();
    assert_eq!(in_use(&follower), "version 6, epoch 7 at 127.1.1.1:8000, rolled back to 5");

    let etcd = Etcd::connect(vec!["http://127.0.0.1:1".to_owned()]);
    let again = Follower::open(etcd, folder.clone()).unwrap();
    assert_eq!(in_use(&again), "version 6, epoch 7 at 127.1.1.1:8000, rolled back to 5");
    take(&again, &stored(7, &moved)).unwrap();
    again.heed_rollback().unwrap();
    assert_eq!(in_use(&again), "version 7, epoch 7 at 127.9.9.9:1");
    assert_eq!(Rollback::read(&folder).unwrap(), None);
}

#[test]
fn a_rollback_that_is_taken_back_or_makes_no_sense_changes_nothing() {
    let follower = follower("no-rollback");
    let folder = follower.kept.folder().to_owned();
    take(&follower, &stored(5, &snapshot(&[("c1", 3)]))).unwrap();
    take(&follower, &stored(6, &snapshot(&[("c1", 4)]))).unwrap();
    Rollback { from: Version(6), to: Version(5) }.write(&folder).unwrap();
    follower.heed_rollback().unwrap();
    Rollback::end(&folder).unwrap();
    follower.heed_rollback().unwrap();
    assert_eq!(in_use(&follower), "version 6, epoch 4 at 127.1.1.1:8000");
    Rollback { from: Version(6), to: Version(4) }.write(&folder).unwrap();
    let refused = format!("{:#}", follower.heed_rollback().unwrap_err());
    assert_eq!(refused, "roll back: find a whole generation 4");
    std::fs::write(folder.join("rollback.json"), "{").unwrap();
    follower.heed_rollback().unwrap_err();
    assert_eq!(in_use(&follower), "version 6, epoch 4 at 127.1.1.1:8000");
}

/// One change to a stored value.
#[derive(Clone, Debug)]
struct Mutation {
    entry: usize,
    at: usize,
    removed: usize,
    inserted: Vec<u8>,
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let inserted = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::collection::vec(prop::sample::select(b"0123456789,{}[]:\"-".to_vec()), 0..6),
    ];
    let mutation = (0usize..3, any::<prop::sample::Index>(), 0usize..6, inserted).prop_map(
        |(entry, at, removed, inserted)| Mutation { entry, at: at.index(2000), removed, inserted },
    );
    prop::collection::vec(mutation, 1..4)
}

proptest! {
    #[test]
    fn no_bytes_in_etcd_make_a_follower_panic_or_lose_what_it_has(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 3),
        version in 0u64..20,
    ) {
        let follower = follower("bytes");
        take(&follower, &stored(5, &snapshot(&[("c1", 3), ("c2", 1)]))).unwrap();
        let keys = [key::PLACEMENT.to_owned(), format!("{}c1", key::CELLS), format!("{}c2", key::CELLS)];
        let offered: Vec<Stored> = keys
            .iter()
            .zip(values)
            .map(|(key, value)| entry(version, key, value))
            .collect();
        prop_assert!(take(&follower, &offered).is_err());
        prop_assert_eq!(follower.latest().borrow().clone().unwrap().snapshot.version, Version(5));
    }

    #[test]
    fn whatever_becomes_of_a_valid_snapshot_it_is_refused_or_keeps_every_promise(
        mutations in mutations(),
        version in 4u64..9,
        epoch in 1u64..6,
    ) {
        let follower = follower("mutated");
        take(&follower, &stored(5, &snapshot(&[("c1", 3), ("c2", 1)]))).unwrap();
        let before = follower.latest().borrow().clone().unwrap().snapshot;
        let mut offered = stored(version, &snapshot(&[("c1", epoch), ("c2", 1)]));
        for Mutation { entry, at, removed, inserted } in mutations {
            let value = &mut offered[entry].value;
            let at = at % (value.len() + 1);
            value.splice(at..(at + removed).min(value.len()), inserted);
        }
        // Only what is kept on disk may fail: the snapshot is in use then.
        let outcome = take(&follower, &offered);
        let after = follower.latest().borrow().clone().unwrap().snapshot;
        if outcome.is_err() {
            prop_assert_eq!(&after, &before);
        }
        prop_assert!(after.version >= before.version);
        prop_assert!(after.placement.moved(&before.placement).len() <= MOVES_MAX);
        for (cell, routed) in &before.cells {
            let now = after.cells.get(cell).map(|cell| cell.activation.epoch);
            prop_assert!(now.is_none_or(|now| now >= routed.activation.epoch));
        }
        for slot in Slot::all().step_by(61) {
            prop_assert!(after.cells.contains_key(after.route(slot).cell));
        }
        prop_assert_eq!(SLOTS, after.placement.owners().len());
    }
}

/// A follower of nobody, in a folder that is empty.
fn follower(name: &str) -> Follower {
    let folder =
        std::env::temp_dir().join(format!("bulkhead-follow-{name}-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    Follower::open(Etcd::connect(vec!["http://127.0.0.1:1".to_owned()]), folder).unwrap()
}

/// Offers what was read in full, and keeps it.
fn take(follower: &Follower, stored: &[Stored]) -> Result<(), String> {
    match follower.offer(stored, &mut None)? {
        Some(snapshot) => follower.keep(&snapshot),
        None => Ok(()),
    }
}

fn in_use(follower: &Follower) -> String {
    let Followed { snapshot, rolled_back, .. } = follower.latest().borrow().clone().unwrap();
    let cell = &snapshot.cells[&"c1".parse::<CellId>().unwrap()];
    let at = cell.gateways.values().next().unwrap();
    let back = rolled_back.map_or_else(String::new, |back| format!(", rolled back to {}", back.to));
    format!("version {}, epoch {} at {at}{back}", snapshot.version, cell.activation.epoch)
}

fn snapshot(cells: &[(&str, u64)]) -> Snapshot {
    let weights = cells.iter().map(|(id, _)| (id.parse().unwrap(), 1)).collect();
    let routed = |epoch| RoutedCell {
        activation: Activation {
            epoch: Epoch(epoch),
            phase: Phase::Steady { active: "east".parse().unwrap() },
            voters: ["north".parse().unwrap()].into(),
            retired: [].into(),
            acks: 1,
            system: Some(7),
            elected_at: None,
            cause: None,
            reason: String::new(),
        },
        gateways: [("east".parse().unwrap(), "127.1.1.1:8000".parse().unwrap())].into(),
    };
    Snapshot {
        version: Version(0),
        placement: Placement::plan(&weights, Version(0)),
        cells: cells.iter().map(|(id, epoch)| (id.parse().unwrap(), routed(*epoch))).collect(),
    }
}

/// The snapshot as etcd has it, the placement first.
fn stored(version: u64, snapshot: &Snapshot) -> Vec<Stored> {
    let placement = PlacementRecord::from(&snapshot.placement);
    let mut stored = vec![entry(version, key::PLACEMENT, serde_json::to_vec(&placement).unwrap())];
    stored.extend(snapshot.cells.iter().map(|(cell, routed)| {
        let record = serde_json::to_vec(&CellRecord::from(routed)).unwrap();
        entry(version, &key::cell(cell), record)
    }));
    stored
}

fn entry(version: u64, key: &str, value: Vec<u8>) -> Stored {
    let version = Version(version);
    Stored { key: key.to_owned(), value, version, revision: version.revision() }
}
