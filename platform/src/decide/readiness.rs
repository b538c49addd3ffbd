//! Whether the platform serves, and if not, what is missing.

use std::collections::BTreeMap;

use topology::Spec;

/// A cell as the control plane describes it, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct CellSeen {
    pub(crate) id: String,
    pub(crate) epoch: u64,
    pub(crate) phase: String,
    pub(crate) active: Option<String>,
    /// Both standbys follow the active site in its epoch.
    pub(crate) redundant: bool,
    #[serde(default)]
    pub(crate) reason: String,
}

/// One look at the platform.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Whether each region's etcd member is healthy.
    pub(crate) etcd: BTreeMap<String, bool>,
    /// What a control plane says; `None` if none answers.
    pub(crate) cells: Option<Vec<CellSeen>>,
    /// Whether the edge answers.
    pub(crate) edge: bool,
}

/// Something that is awaited, and the processes whose logs would say why it does not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) processes: Vec<String>,
}

/// Returns what is missing, what the rest depends on first; empty once the platform serves.
pub(crate) fn missing(spec: &Spec, seen: &Seen) -> Vec<Missing> {
    let mut found = Vec::new();
    for region in &spec.regions {
        if seen.etcd.get(region.id.as_str()) != Some(&true) {
            let process = format!("etcd@{}", region.id);
            found.push(Missing { what: format!("{process} healthy"), processes: vec![process] });
        }
    }
    match &seen.cells {
        None => found.push(Missing {
            what: "a control plane answering".to_owned(),
            processes: spec.regions.iter().map(|r| format!("control-plane@{}", r.id)).collect(),
        }),
        Some(cells) => found.extend(spec.cells.iter().filter_map(|cell| {
            let state = cells.iter().find(|seen| seen.id == cell.id.as_str());
            let what = unready(state)?;
            let processes = cell.regions().map(|region| format!("{}@{region}", cell.id)).collect();
            Some(Missing { what: format!("cell {} {what}", cell.id), processes })
        })),
    }
    if !seen.edge {
        found.push(Missing {
            what: format!("the edge answering at {}", spec.edge.listen),
            processes: (1..=spec.edge.routers).map(|number| format!("router-{number}")).collect(),
        });
    }
    found
}

/// Returns what a cell lacks; `None` when it serves and may lose a region.
fn unready(state: Option<&CellSeen>) -> Option<String> {
    match state {
        None => Some("to be known".to_owned()),
        Some(cell) if cell.phase != "steady" => Some(format!("steady (it is {})", cell.phase)),
        Some(cell) if !cell.redundant => {
            Some("redundant (a standby does not follow yet)".to_owned())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.1.0.0/16}
  - {id: north, name: 华北, network: 127.2.0.0/16}
  - {id: south, name: 华南, network: 127.3.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
  - {id: c2, weight: 1, home: south, standbys: [east, north]}
edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 1}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";

    #[test]
    fn at_first_everything_is_missing_and_etcd_is_named_first() {
        check(
            &Seen::default(),
            "etcd@east healthy: etcd@east
             etcd@north healthy: etcd@north
             etcd@south healthy: etcd@south
             a control plane answering: control-plane@east control-plane@north control-plane@south
             the edge answering at 127.0.0.1:8080: router-1",
        );
    }

    #[test]
    fn a_cell_counts_once_it_is_steady_and_redundant() {
        let mut seen = all_well();
        seen.cells = Some(vec![cell("c1", "promoting", false), cell("c2", "steady", false)]);
        check(
            &seen,
            "cell c1 steady (it is promoting): c1@east c1@north c1@south
             cell c2 redundant (a standby does not follow yet): c2@south c2@east c2@north",
        );
        seen.cells = Some(vec![cell("c2", "steady", true)]);
        check(&seen, "cell c1 to be known: c1@east c1@north c1@south");
    }

    #[test]
    fn nothing_is_missing_from_a_platform_that_serves() {
        check(&all_well(), "");
    }

    fn all_well() -> Seen {
        Seen {
            etcd: ["east", "north", "south"].map(|id| (id.to_owned(), true)).into(),
            cells: Some(vec![cell("c1", "steady", true), cell("c2", "steady", true)]),
            edge: true,
        }
    }

    fn cell(id: &str, phase: &str, redundant: bool) -> CellSeen {
        CellSeen {
            id: id.to_owned(),
            epoch: 1,
            phase: phase.to_owned(),
            active: Some("east".to_owned()),
            redundant,
            reason: String::new(),
        }
    }

    #[track_caller]
    fn check(seen: &Seen, expected: &str) {
        let found: Vec<String> = missing(&Spec::parse(SPEC).unwrap(), seen)
            .iter()
            .map(|missing| format!("{}: {}", missing.what, missing.processes.join(" ")))
            .collect();
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(found, expected);
    }
}
