//! Where a user's requests go, and why, in words.

use topology::{Phase, Slot, Snapshot};

use super::stale::standbys;

/// Why a user's requests go where they go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explanation<'a> {
    pub(crate) slot: Slot,
    /// The slot is another cell's, and this user lives apart from it.
    pub(crate) is_override: bool,
    pub(crate) cell: &'a str,
    pub(crate) epoch: u64,
    /// `steady`, `switching`, `electing` or `promoting`.
    pub(crate) phase: &'static str,
    /// The active site and its gateway's address; none while the cell has none.
    pub(crate) site: Option<(String, String)>,
    /// The sites that are asked for old answers when the active one has none, in order.
    pub(crate) stale_reads: Vec<String>,
    pub(crate) why: String,
}

/// Returns where this user's requests go by `snapshot`.
pub(crate) fn explain<'a>(snapshot: &'a Snapshot, user: &str) -> Explanation<'a> {
    let route = snapshot.route_of(user);
    let activation = &snapshot.cells[route.cell].activation;
    let site = route
        .site
        .map(|(region, gateway)| (format!("{}@{region}", route.cell), gateway.to_string()));
    let (owner, version) = (snapshot.placement.cell_of(route.slot), snapshot.placement.version());
    let placed = if owner == route.cell {
        format!("slot {} belongs to cell {owner} (placement {version})", route.slot)
    } else {
        format!(
            "the user lives in cell {}, apart from slot {} of cell {owner} (placement {version})",
            route.cell, route.slot
        )
    };
    let then = if site.is_some() { "requests go there" } else { "requests wait for a later epoch" };
    let because = if activation.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", activation.reason)
    };
    Explanation {
        slot: route.slot,
        is_override: owner != route.cell,
        cell: route.cell.as_str(),
        epoch: route.epoch.0,
        phase: match activation.phase {
            Phase::Steady { .. } => "steady",
            Phase::Switching { .. } => "switching",
            Phase::Electing { .. } => "electing",
            Phase::Promoting { .. } => "promoting",
        },
        site,
        stale_reads: standbys(&snapshot.cells[route.cell])
            .into_iter()
            .map(|region| format!("{}@{region}", route.cell))
            .collect(),
        why: format!(
            "{placed}, which is {} since epoch {}{because}; {then}",
            activation.phase, route.epoch
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use topology::snapshot::RoutedCell;
    use topology::{Activation, Epoch, Placement, Version};

    use super::*;

    #[test]
    fn a_steady_cell_is_explained_with_its_gateway() {
        let snapshot = snapshot(Phase::Steady { active: "east".parse().unwrap() });
        let explanation = explain(&snapshot, "ada");
        assert_eq!(explanation.site, Some(("c1@east".to_owned(), "127.1.1.1:8000".to_owned())));
        assert_eq!(
            explanation.why,
            "slot 47 belongs to cell c1 (placement 3), which is steady in east since epoch 7: \
             moved; requests go there"
        );
    }

    #[test]
    fn a_cell_that_elects_has_no_site_and_its_requests_wait() {
        let snapshot = snapshot(Phase::Electing { predecessor: None });
        let explanation = explain(&snapshot, "ada");
        assert_eq!((explanation.phase, explanation.site), ("electing", None));
        assert_eq!(explanation.stale_reads, ["c1@east"]);
        assert!(
            explanation.why.ends_with("requests wait for a later epoch"),
            "{}",
            explanation.why
        );
    }

    #[test]
    fn a_user_who_lives_apart_is_explained_as_one() {
        let mut snapshot = snapshot(Phase::Steady { active: "east".parse().unwrap() });
        let c1: topology::CellId = "c1".parse().unwrap();
        let c2: topology::CellId = "c2".parse().unwrap();
        let owners = vec![0; topology::SLOTS];
        let cells = vec![c1.clone(), c2.clone()];
        let placement = Placement::try_new(Version(3), cells, owners).unwrap();
        snapshot.placement = placement.with_override("ada", &c2).unwrap();
        let routed = snapshot.cells[&c1].clone();
        snapshot.cells.insert(c2, routed);
        let ada = explain(&snapshot, "ada");
        assert_eq!((ada.cell, ada.is_override), ("c2", true));
        assert_eq!(
            ada.why,
            "the user lives in cell c2, apart from slot 47 of cell c1 (placement 3), which is \
             steady in east since epoch 7: moved; requests go there"
        );
        let bob = explain(&snapshot, "bob");
        assert_eq!((bob.cell, bob.is_override), ("c1", false));
    }

    fn snapshot(phase: Phase) -> Snapshot {
        let activation = Activation {
            epoch: Epoch(7),
            phase,
            voters: [].into(),
            retired: [].into(),
            acks: 1,
            system: None,
            elected_at: None,
            cause: None,
            reason: "moved".to_owned(),
        };
        let gateways = [("east".parse().unwrap(), "127.1.1.1:8000".parse().unwrap())].into();
        let weights = [("c1".parse().unwrap(), 1)].into();
        Snapshot {
            version: Version(9),
            placement: Placement::plan(&weights, Version(3)),
            cells: BTreeMap::from([("c1".parse().unwrap(), RoutedCell { activation, gateways })]),
        }
    }
}
