//! What deciding costs a control plane's loop, without etcd or network: on a state that is made of
//! the same facts.

use std::sync::Arc;
use std::time::Duration;

use client::etcd::Stored;
use control_plane::decide::happenings::Sight;
use control_plane::decide::{Action, Fact, Policy, State, decide, first_start};
use control_plane::store::Reading;
use tokio::time::Instant;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::lease::LeaseRecord;
use topology::wire::placement::PlacementRecord;
use topology::wire::vantage::{DeepOutcome, DeepSight, Health, SightedSite, VantageReport};
use topology::{CellId, Placement, RegionId, SiteId, Spec, Version};

use crate::timings::Timings;
use crate::world;

/// How often each is done: enough for a 99th percentile of what takes milliseconds.
const TIMES: usize = 200;

/// What was measured for so many cells.
pub(crate) struct Pure {
    pub(crate) cells: usize,
    /// Bytes of all that a control plane reads.
    pub(crate) stored: usize,
    /// Bytes of the keys and values that routers read: placement and cells.
    pub(crate) snapshot: usize,
    /// Of these, the placement.
    pub(crate) placement: usize,
    /// From bytes to a state that is decided by: what a read costs.
    pub(crate) reading: Timings,
    /// One probe's answer, learned.
    pub(crate) fact: Timings,
    /// All is looked at, published and decided about, and nothing is to be done.
    pub(crate) turn: Timings,
    /// Deciding alone, when all is well.
    pub(crate) steady: Timings,
    /// Deciding alone, when a region's active sites are all due.
    pub(crate) region_lost: Timings,
    pub(crate) take_overs: usize,
    /// Deciding alone, when no site at all answers this observer and no lease is renewed.
    pub(crate) all_silent: Timings,
}

pub(crate) fn measure(cells: usize) -> anyhow::Result<Pure> {
    let spec = world::spec(&world::text(cells))?;
    let north: RegionId = world::REGIONS[1].parse()?;
    let policy = Policy::new(&spec, &north);
    let nobody = |_: &SiteId| false;
    let stored = stored(&spec, 2, &nobody)?;
    let renewed = self::stored(&spec, 3, &nobody)?;
    let start = Instant::now();
    let mut state = State::default();
    state.saw(Fact::Read(Reading::parse(&stored)), start);
    probe(&mut state, &spec, start, |_| true);
    let of = |prefix: &str| {
        let entries = stored.iter().filter(|entry| entry.key.starts_with(prefix));
        entries.map(|entry| entry.key.len() + entry.value.len()).sum::<usize>()
    };

    let reading = Timings::of(
        TIMES.min(50),
        || state.clone(),
        |mut state| {
            state.saw(Fact::Read(Reading::parse(&renewed)), start);
            (decide(&state, &policy, start), state)
        },
    );
    let sites: Vec<SiteId> = world::sites(&spec).collect();
    let mut turns = sites.iter().cycle();
    let mut learning = state.clone();
    let fact = Timings::of(
        TIMES,
        || probed(turns.next().expect("there are sites"), &spec, true),
        |fact| learning.saw(fact, start),
    );
    let before = Sight::of(&state, &policy, start);
    let turn = Timings::of(
        TIMES,
        || (),
        |()| {
            let sight = Sight::of(&state, &policy, start);
            let news = sight.since(&before);
            (sight, news, Arc::new(state.clone()), decide(&state, &policy, start))
        },
    );
    let steady = Timings::of(TIMES, || (), |()| decide(&state, &policy, start));
    let (lost, due) =
        silent(&state, &spec, &stored, start, |site| site.region.as_str() == world::REGIONS[0])?;
    let take_overs = decide(&lost, &policy, due);
    let take_overs =
        take_overs.iter().filter(|action| matches!(action, Action::TakeOver { .. })).count();
    let region_lost = Timings::of(TIMES, || (), |()| decide(&lost, &policy, due));
    let (isolated, due) = silent(&state, &spec, &stored, start, |_| true)?;
    let all_silent = Timings::of(TIMES.min(50), || (), |()| decide(&isolated, &policy, due));
    Ok(Pure {
        cells,
        stored: of(key::PREFIX),
        snapshot: of(key::PLACEMENT) + of(key::CELLS),
        placement: of(key::PLACEMENT),
        reading,
        fact,
        turn,
        steady,
        region_lost,
        take_overs,
        all_silent,
    })
}

/// What etcd holds once every cell is steady at home.
fn stored(
    spec: &Spec,
    sequence: u64,
    silent: &dyn Fn(&SiteId) -> bool,
) -> anyhow::Result<Vec<Stored>> {
    let entry = |key: String, value: Vec<u8>, revision: u64| Stored {
        key,
        value,
        revision,
        version: Version(revision),
    };
    let placement = Placement::plan(&spec.weights(), Version(1));
    let placement = serde_json::to_vec(&PlacementRecord::from(&placement))?;
    let mut stored = vec![entry(key::PLACEMENT.to_owned(), placement, 1)];
    for cell in &spec.cells {
        let routed = steady(spec, &cell.id);
        let record = serde_json::to_vec(&CellRecord::from(&routed))?;
        stored.push(entry(key::cell(&cell.id), record, 1));
        let lease = LeaseRecord { holder: cell.home.to_string(), epoch: 1, sequence };
        stored.push(entry(key::lease(&cell.id), serde_json::to_vec(&lease)?, sequence));
        for region in cell.regions() {
            let site = SiteId { cell: cell.id.clone(), region: region.clone() };
            let report = serde_json::to_vec(&world::report(&site, &routed, sequence))?;
            stored.push(entry(key::site(&site), report, sequence));
        }
    }
    for vantage in &spec.regions {
        let seen = serde_json::to_vec(&sights(spec, sequence, silent))?;
        stored.push(entry(key::vantage(&vantage.id), seen, sequence));
    }
    Ok(stored)
}

/// What a vantage sees of every site, when these are silent.
fn sights(spec: &Spec, sequence: u64, silent: &dyn Fn(&SiteId) -> bool) -> VantageReport {
    let sites = world::sites(spec).map(|site| {
        let report = world::report(&site, &steady(spec, &site.cell), 1);
        let reachable = !silent(&site);
        let deep = DeepSight {
            outcome: if reachable { DeepOutcome::Read } else { DeepOutcome::Failed },
            latency_us: 12_345,
            usual_us: Some(12_000),
        };
        let sighted = SightedSite {
            reachable,
            health: if reachable { Health::Healthy } else { Health::Unreachable },
            tenure: Some(report.tenure),
            epoch: Some(report.epoch),
            deep: Some(deep),
        };
        (site.to_string(), sighted)
    });
    VantageReport { sequence, sites: sites.collect() }
}

fn steady(spec: &Spec, cell: &CellId) -> RoutedCell {
    let listed = spec.cell(cell).expect("cells come from the spec");
    world::opened(first_start::cell(spec, listed), &listed.home)
}

fn probed(site: &SiteId, spec: &Spec, answers: bool) -> Fact {
    let answer = answers.then(|| world::report(site, &steady(spec, &site.cell), 1));
    Fact::Probed { site: site.clone(), answer }
}

fn probe(state: &mut State, spec: &Spec, now: Instant, answers: impl Fn(&SiteId) -> bool) {
    for site in world::sites(spec) {
        let answer = answers(&site);
        state.saw(probed(&site, spec, answer), now);
    }
}

/// Returns the state after these sites have fallen silent, and when their cells are due; etcd has been
/// read all the while.
fn silent(
    state: &State,
    spec: &Spec,
    stored: &[Stored],
    start: Instant,
    is_silent: impl Fn(&SiteId) -> bool,
) -> anyhow::Result<(State, Instant)> {
    let mut state = state.clone();
    for missed in [250, 500] {
        let now = start + Duration::from_millis(missed);
        probe(&mut state, spec, now, |site| !is_silent(site));
    }
    // The leases of those that are silent stay as they were; the others have just been renewed.
    let renewed = self::stored(spec, 3, &is_silent)?;
    let reading = stored.iter().zip(renewed).map(|(old, new)| {
        let cell = old.key.strip_prefix(key::LEASES);
        let home = cell.and_then(|cell| Some(&spec.cell(&cell.parse().ok()?)?.home));
        let silent = home.is_some_and(|home| {
            let cell = cell.and_then(|cell| cell.parse().ok());
            cell.is_some_and(|cell| is_silent(&SiteId { cell, region: home.clone() }))
        });
        if silent { old.clone() } else { new }
    });
    let reading: Vec<Stored> = reading.collect();
    // Read on and on, as without a gap.
    let mut now = start;
    for _ in 0..6 {
        now += Duration::from_millis(500);
        state.saw(Fact::Read(Reading::parse(&reading)), now);
    }
    Ok((state, now))
}
