use super::*;
use crate::Phase;

#[test]
fn an_older_version_is_refused() {
    let current = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let offered = snapshot(4, &[("c1", 3), ("c2", 1)]);
    assert_eq!(
        offered.may_replace(&current),
        Err(Refusal::OlderVersion { current: Version(5), offered: Version(4) })
    );
}

#[test]
fn an_older_epoch_is_refused_even_under_a_newer_version() {
    let current = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let offered = snapshot(6, &[("c1", 2), ("c2", 1)]);
    assert_eq!(
        offered.may_replace(&current),
        Err(Refusal::OlderEpoch {
            cell: "c1".parse().unwrap(),
            current: Epoch(3),
            offered: Epoch(2)
        })
    );
}

#[test]
fn an_empty_snapshot_is_refused() {
    let mut offered = snapshot(6, &[("c1", 2)]);
    offered.cells.clear();
    assert_eq!(offered.check(), Err(Refusal::Empty));
}

#[test]
fn a_snapshot_that_lost_a_cell_is_refused() {
    let current = snapshot(5, &[("c1", 3), ("c2", 1)]);
    assert_eq!(
        snapshot(6, &[("c1", 3)]).may_replace(&current),
        Err(Refusal::Shrunken("c2".parse().unwrap()))
    );
}

#[test]
fn slots_of_a_cell_that_is_not_listed_are_refused() {
    let mut offered = snapshot(6, &[("c1", 3), ("c2", 1)]);
    let cell: CellId = "c2".parse().unwrap();
    offered.cells.remove(&cell);
    assert_eq!(offered.check(), Err(Refusal::UnknownCell(cell)));
}

#[test]
fn a_snapshot_that_moves_half_the_users_at_once_is_refused() {
    let current = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let mut offered = snapshot(6, &[("c1", 3), ("c2", 1)]);
    let flipped = current.placement.owners().iter().map(|owner| 1 - owner).collect();
    offered.placement =
        Placement::try_new(Version(6), current.placement.cells().to_vec(), flipped).unwrap();
    assert_eq!(
        offered.may_replace(&current),
        Err(Refusal::TooManyMoves { moved: crate::SLOTS, limit: MOVES_MAX })
    );
    let half = crate::SLOTS / 2;
    let offered = |permitted| {
        let mut offered = offered.clone();
        offered.placement = offered.placement.permitting(permitted);
        offered
    };
    let refused = Refusal::TooManyMoves { moved: crate::SLOTS, limit: half };
    assert_eq!(offered(half).may_replace(&current), Err(refused));
    assert_eq!(offered(crate::SLOTS).may_replace(&current), Ok(()));
}

#[test]
fn a_cell_in_which_a_single_user_lives_apart_is_needed_as_well() {
    let both = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let away: CellId = "c2".parse().unwrap();
    let all_in_c1 = vec![0; crate::SLOTS];
    let alone = Placement::try_new(Version(5), both.placement.cells().to_vec(), all_in_c1).unwrap();
    let mut current = both;
    current.placement = alone.clone().with_override("ada", &away).unwrap();
    assert_eq!(current.route_of("ada").cell, &away);
    assert_eq!(current.route(Slot::of("ada")).cell.as_str(), "c1");

    let mut offered = current.clone();
    offered.version = Version(6);
    offered.cells.remove(&away);
    assert_eq!(offered.may_replace(&current), Err(Refusal::UnknownCell(away.clone())));
    offered.placement = alone;
    assert_eq!(offered.may_replace(&current), Err(Refusal::Shrunken(away)));
}

#[test]
fn a_cell_without_an_active_site_has_a_route_but_no_site() {
    let mut snapshot = snapshot(5, &[("c1", 3)]);
    let slot = Slot::of("ada");
    assert_eq!(snapshot.route(slot).site.unwrap().0.as_str(), "east");
    let routed = snapshot.cells.get_mut(&"c1".parse().unwrap()).unwrap();
    routed.activation = routed.activation.elect("lost");
    assert_eq!(snapshot.route(slot).site, None);
    assert_eq!(snapshot.route(slot).epoch, Epoch(4));
}

#[test]
fn a_rollback_brings_back_placement_and_addresses_and_no_version_or_epoch() {
    let earlier = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let mut latest = snapshot(9, &[("c1", 7), ("c2", 1)]);
    let all_to_c1 = vec![0; crate::SLOTS];
    latest.placement =
        Placement::try_new(Version(9), latest.placement.cells().to_vec(), all_to_c1).unwrap();
    let c1 = latest.cells.get_mut(&"c1".parse().unwrap()).unwrap();
    c1.gateways = [("east", "127.9.9.9:1"), ("north", "127.2.1.1:8000")]
        .map(|(region, at)| (region.parse().unwrap(), at.parse().unwrap()))
        .into();
    c1.activation = c1.activation.elect("lost");

    let back = latest.rolled_back(&earlier, &BTreeMap::new());
    assert_eq!((back.version, &back.placement), (Version(9), &earlier.placement));
    let c1 = &back.cells[&"c1".parse().unwrap()];
    assert_eq!(c1.activation, latest.cells[&"c1".parse().unwrap()].activation);
    let addresses: Vec<String> = c1.gateways.values().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.1.1.1:8000", "127.2.1.1:8000"]);
    assert_eq!(back.check(), Ok(()));
}

#[test]
fn a_cell_that_comes_back_does_so_under_the_last_epoch_it_was_seen_with() {
    let earlier = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let seen = snapshot(7, &[("c1", 3), ("c2", 4)]).cells;
    let back = snapshot(9, &[("c1", 3)]).rolled_back(&earlier, &seen);
    assert_eq!(back.cells[&"c2".parse().unwrap()].activation.epoch, Epoch(4));
    assert_eq!(back.check(), Ok(()));
}

#[test]
fn what_differs_is_told_line_by_line() {
    let earlier = snapshot(5, &[("c1", 3), ("c2", 1)]);
    let mut later = snapshot(6, &[("c1", 4), ("c3", 1)]);
    later.placement = earlier.placement.clone();
    let c1 = later.cells.get_mut(&"c1".parse().unwrap()).unwrap();
    c1.gateways = [("north".parse().unwrap(), "127.2.1.1:8000".parse().unwrap())].into();
    let told: Vec<String> = later.differences(&earlier).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "c2 is gone",
            "c1: epoch 3, steady in east → epoch 4, steady in east",
            "c1@east: at 127.1.1.1:8000 → nowhere",
            "c1@north: at nowhere → 127.2.1.1:8000",
            "c3 is new",
        ]
    );
    assert_eq!(later.differences(&later), []);
}

fn snapshot(version: u64, cells: &[(&str, u64)]) -> Snapshot {
    let weights = cells.iter().map(|(id, _)| (id.parse().unwrap(), 1)).collect();
    let routed = |epoch| RoutedCell {
        activation: Activation {
            epoch: Epoch(epoch),
            phase: Phase::Steady { active: "east".parse().unwrap() },
            voters: ["north".parse().unwrap()].into(),
            retired: [].into(),
            acks: 1,
            system: None,
            elected_at: None,
            cause: None,
            reason: String::new(),
        },
        gateways: [("east".parse().unwrap(), "127.1.1.1:8000".parse().unwrap())].into(),
    };
    Snapshot {
        version: Version(version),
        placement: Placement::plan(&weights, Version(version)),
        cells: cells.iter().map(|(id, epoch)| (id.parse().unwrap(), routed(*epoch))).collect(),
    }
}
