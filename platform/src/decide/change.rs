//! Whether the data of an earlier run can be used with the spec of this one.

use topology::{RegionId, Spec};

/// Returns what differs in a way the data cannot follow; empty when the data can be used. The edge,
/// the lease's times and the messages' durability may change from run to run.
pub(crate) fn changes(applied: &Spec, wanted: &Spec) -> Vec<String> {
    let regions = |spec: &Spec| -> Vec<(String, String)> {
        let pair = |region: &topology::spec::Region| {
            (format!("region {}", region.id), format!("network {}", region.network))
        };
        spec.regions.iter().map(pair).collect()
    };
    let cells = |spec: &Spec| -> Vec<(String, String)> {
        let pair = |(position, cell): (usize, &topology::spec::Cell)| {
            let standbys: Vec<&str> = cell.standbys.iter().map(RegionId::as_str).collect();
            let (home, weight) = (&cell.home, cell.weight);
            let place = position + 1;
            let text = format!(
                "place {place}, weight {weight}, home {home}, standbys {}",
                standbys.join(" and ")
            );
            (format!("cell {}", cell.id), text)
        };
        spec.cells.iter().enumerate().map(pair).collect()
    };
    let mut found = differences(&regions(applied), &regions(wanted));
    found.extend(differences(&cells(applied), &cells(wanted)));
    found
}

fn differences(before: &[(String, String)], after: &[(String, String)]) -> Vec<String> {
    let find = |list: &[(String, String)], name: &str| {
        list.iter().find(|(listed, _)| listed == name).map(|(_, text)| text.clone())
    };
    let mut found = Vec::new();
    for (name, text) in before {
        match find(after, name) {
            None => found.push(format!("{name} is gone")),
            Some(now) if now != *text => found.push(format!("{name} was: {text}; is: {now}")),
            Some(_) => {}
        }
    }
    let added = after.iter().filter(|(name, _)| find(before, name).is_none());
    found.extend(added.map(|(name, _)| format!("{name} is new")));
    found
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
edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 2}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";

    #[test]
    fn another_edge_another_name_and_other_durability_are_no_change() {
        let other = SPEC
            .replace("routers: 2", "routers: 3")
            .replace("华东", "Shanghai")
            .replace("weak", "strong");
        check(&other, &[]);
    }

    #[test]
    fn another_network_home_or_set_of_cells_is_a_change() {
        let other = SPEC.replace("127.2.0.0", "127.9.0.0").replace("{id: c2", "{id: c3").replace(
            "home: east, standbys: [north, south]",
            "home: north, standbys: [east, south]",
        );
        check(
            &other,
            &[
                "region north was: network 127.2.0.0/16; is: network 127.9.0.0/16",
                "cell c1 was: place 1, weight 1, home east, standbys north and south; \
                 is: place 1, weight 1, home north, standbys east and south",
                "cell c2 is gone",
                "cell c3 is new",
            ],
        );
    }

    #[track_caller]
    fn check(other: &str, expected: &[&str]) {
        let (applied, wanted) = (Spec::parse(SPEC).unwrap(), Spec::parse(other).unwrap());
        assert_eq!(changes(&applied, &wanted), expected);
    }
}
