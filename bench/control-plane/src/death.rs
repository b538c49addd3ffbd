//! A region dies: its agents fall silent, and its control plane and its member of etcd are killed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{HttpClient, clock};
use tokio::time::{Instant, sleep};
use topology::{CellId, RegionId, Spec};

use crate::agents::Fleet;
use crate::etcd::Member;
use crate::planes::{Plane, Told};
use crate::timings::Timings;

/// How long the last cell may take to be served again.
const SERVED_MAX: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Each cell's times count from when its patience had run out: its last renewal and 2 s.
pub(crate) struct Death {
    /// Cells that were active there.
    pub(crate) cells: usize,
    /// Whether etcd's leader died too.
    pub(crate) led: bool,
    /// Some control plane had decided to take over.
    pub(crate) decided: Option<Timings>,
    /// The old right was ended, in etcd.
    pub(crate) ended: Option<Timings>,
    /// The successor was written.
    pub(crate) promoted: Option<Timings>,
    /// The successor had opened its epoch.
    pub(crate) opened: Option<Timings>,
    /// Cells that were not served again within the limit.
    pub(crate) unserved: usize,
}

pub(crate) async fn measure(
    spec: &Spec,
    fleet: &Fleet,
    members: &mut [Member],
    planes: &mut Vec<Plane>,
    http: &HttpClient,
) -> anyhow::Result<Death> {
    let region: RegionId = spec.regions.first().context("find a region")?.id.clone();
    let member = members.iter_mut().find(|member| member.region == region);
    let member = member.context("find the region's member of etcd")?;
    let led = member.seen(http).await?.leads();
    let begun = clock::unix_millis();
    fleet.kill(&region);
    for plane in planes.iter_mut().filter(|plane| plane.region == region) {
        plane.kill()?;
    }
    member.kill()?;
    planes.retain(|plane| plane.region != region);
    let lost = fleet.active_in(&region);
    let until = Instant::now() + SERVED_MAX;
    let unserved = loop {
        let unserved = lost.keys().filter(|cell| fleet.opened_at(cell) < begun).count();
        if unserved == 0 || Instant::now() > until {
            break unserved;
        }
        sleep(LOOK).await;
    };
    let mut told: BTreeMap<&str, Told> = BTreeMap::new();
    for message in ["decided", "electing", "promoting"] {
        for plane in &*planes {
            for (cell, at) in plane.told(message, begun % DAY)? {
                let first = told.entry(message).or_default().entry(cell).or_insert(at);
                *first = at.min(*first);
            }
        }
    }
    let patience = u64::try_from(spec.lease.patience.as_millis())?;
    let after = |cell: &CellId, at: u64| {
        let due = lost.get(cell)? + patience;
        Some(Duration::from_millis(at.saturating_sub(due % DAY)))
    };
    let of = |message: &str| {
        let times = told.get(message)?.iter();
        Timings::from(times.filter_map(|(cell, at)| after(&cell.parse().ok()?, *at)).collect())
    };
    let opened = lost.keys().filter_map(|cell| {
        let at = fleet.opened_at(cell);
        (at > begun).then(|| after(cell, at % DAY)).flatten()
    });
    Ok(Death {
        cells: lost.len(),
        led,
        decided: of("decided"),
        ended: of("electing"),
        promoted: of("promoting"),
        opened: Timings::from(opened.collect()),
        unserved,
    })
}
