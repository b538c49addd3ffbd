//! As many cells as asked for, each with three sites, spread over five regions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use topology::snapshot::RoutedCell;
use topology::wire::agent::TenureName;
use topology::wire::report::SiteReport;
use topology::{Phase, RegionId, SiteId, Spec};

pub(crate) const REGIONS: [&str; 5] = ["east", "north", "south", "west", "centre"];
/// What PostgreSQL calls every cell's database.
pub(crate) const SYSTEM: u64 = 7_001_002_003_004_005_006;

/// A `regions.yaml` of so many cells, with the times of the one that is shipped.
pub(crate) fn text(cells: usize) -> String {
    let mut text = String::from("version: 1\nregions:\n");
    for (number, region) in REGIONS.iter().enumerate() {
        let network = format!("127.{}.0.0/16", number + 1);
        line(&mut text, &format!("  - {{id: {region}, name: {region}, network: {network}}}"));
    }
    text.push_str("cells:\n");
    for number in 0..cells {
        let region = |step: usize| REGIONS[(number + step) % REGIONS.len()];
        let (home, standbys) = (region(0), [region(1), region(2)].join(", "));
        let id = format!("c{}", number + 1);
        line(
            &mut text,
            &format!("  - {{id: {id}, weight: 1, home: {home}, standbys: [{standbys}]}}"),
        );
    }
    text.push_str(
        "edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 2}\n\
         lease: {renew: 500ms, right: 1600ms, patience: 2s}\n\
         messages: weak\n",
    );
    text
}

pub(crate) fn spec(text: &str) -> anyhow::Result<Arc<Spec>> {
    let spec = Spec::parse(text).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("accept the world: {}", lines.join("; "))
    })?;
    Ok(Arc::new(spec))
}

pub(crate) fn sites(spec: &Spec) -> impl Iterator<Item = SiteId> {
    spec.cells.iter().flat_map(|cell| {
        cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() })
    })
}

/// Every cell as it is once it has been opened for the first time: steady at home.
pub(crate) fn opened(mut routed: RoutedCell, home: &RegionId) -> RoutedCell {
    routed.activation = routed.activation.open(home, "barrier passed");
    routed.activation.system = Some(SYSTEM);
    routed
}

/// What a healthy site says of itself, as long as a real one says it.
pub(crate) fn report(site: &SiteId, cell: &RoutedCell, sequence: u64) -> SiteReport {
    let activation = &cell.activation;
    let active = activation.holder() == Some(&site.region);
    let serving = active && matches!(activation.phase, Phase::Steady { .. });
    let voters = activation.voters.iter().filter(|_| serving);
    SiteReport {
        sequence,
        tenure: if serving { TenureName::Serving } else { TenureName::Standby },
        epoch: activation.epoch.0,
        postgres: if active { "primary" } else { "standby" }.to_owned(),
        lsn: 123_456_789,
        timeline: 1,
        lag_bytes: voters.map(|voter| (voter.to_string(), 0)).collect(),
        flush: None,
        room: None,
        services: BTreeMap::from(
            ["knowledge", "nlp", "session", "ticket"].map(|name| (name.to_owned(), true)),
        ),
        at_risk: false,
        rebuilt: 0,
        alerts: BTreeMap::new(),
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes everything");
}
