use topology::snapshot::RoutedCell;
use topology::{Activation, Epoch, Phase, Placement};

use super::*;

#[test]
fn the_newest_generation_is_served_again() {
    let kept = kept(&[3, 4], "newest");
    assert_eq!(kept.newest(), Some(snapshot(4)));
}

#[test]
fn a_flipped_bit_falls_back_to_the_generation_before() {
    let kept = kept(&[3, 4], "flipped");
    let newest = kept.generations().pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    assert_eq!(kept.newest(), Some(snapshot(3)));
}

#[test]
fn a_torn_file_falls_back_to_the_generation_before() {
    let kept = kept(&[3, 4], "torn");
    let newest = kept.generations().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    for length in [0, 1, bytes.len() / 3, bytes.len() - 1] {
        fs::write(&newest, &bytes[..length]).unwrap();
        assert_eq!(kept.newest(), Some(snapshot(3)), "{length} bytes left");
    }
}

#[test]
fn ten_generations_are_kept() {
    let kept = kept(&(1..=14).collect::<Vec<_>>(), "ten");
    assert_eq!(kept.generations().len(), GENERATIONS);
    assert_eq!(kept.newest(), Some(snapshot(14)));
}

fn kept(versions: &[u64], name: &str) -> LastKnownGood {
    let folder = std::env::temp_dir().join(format!("bulkhead-lkg-{name}-{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    let kept = LastKnownGood::open(folder).unwrap();
    for version in versions {
        kept.keep(&snapshot(*version)).unwrap();
    }
    kept
}

fn snapshot(version: u64) -> Snapshot {
    let activation = Activation {
        epoch: Epoch(version),
        phase: Phase::Electing { predecessor: None },
        voters: ["north".parse().unwrap()].into(),
        acks: 1,
        system: Some(7),
        reason: String::new(),
    };
    let gateways = [("east".parse().unwrap(), "127.1.1.1:8000".parse().unwrap())].into();
    Snapshot {
        version: Version(version),
        placement: Placement::plan(&[("c1".parse().unwrap(), 1)].into(), Version(2)),
        cells: [("c1".parse().unwrap(), RoutedCell { activation, gateways })].into(),
    }
}
