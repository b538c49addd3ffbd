//! Where a user's requests go, and why, in words.

use topology::{Phase, Slot, Snapshot};

use super::stale::standbys;

/// Why a user's requests go where they go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explanation<'a> {
    pub(crate) slot: Slot,
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
    let route = snapshot.route(Slot::of(user));
    let activation = &snapshot.cells[route.cell].activation;
    let site = route
        .site
        .map(|(region, gateway)| (format!("{}@{region}", route.cell), gateway.to_string()));
    let placed = format!(
        "slot {} belongs to cell {} (placement {})",
        route.slot,
        route.cell,
        snapshot.placement.version()
    );
    let then = if site.is_some() { "requests go there" } else { "requests wait for a later epoch" };
    let because = if activation.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", activation.reason)
    };
    Explanation {
        slot: route.slot,
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

    fn snapshot(phase: Phase) -> Snapshot {
        let activation = Activation {
            epoch: Epoch(7),
            phase,
            voters: [].into(),
            acks: 1,
            system: None,
            elected_at: None,
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
