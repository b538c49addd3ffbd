//! What it costs while nothing happens.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use runtime::HttpClient;
use tokio::time::{Instant, sleep};
use topology::RegionId;

use crate::agents::{Counts, Fleet};
use crate::etcd::{self, Member};
use crate::planes::{LOOKING, Plane, READING};
use crate::process::{self, Used};
use crate::series::Buckets;
use crate::timings::Timings;

const COMMITTED: &str = "etcd_server_proposals_committed_total";
const RECEIVED: &str = "etcd_network_client_grpc_received_bytes_total";
const SENT: &str = "etcd_network_client_grpc_sent_bytes_total";
const FSYNC: &str = "etcd_disk_wal_fsync_duration_seconds";

/// Rates are per second.
pub(crate) struct Steady {
    pub(crate) writes: f64,
    /// Of keys, values and what is around them, as clients sent it.
    pub(crate) asked: f64,
    /// By the leader to its disk.
    pub(crate) written: f64,
    /// To everybody who reads and watches.
    pub(crate) sent: f64,
    pub(crate) size: f64,
    pub(crate) growth: f64,
    pub(crate) fsync: Buckets,
    /// Share of the renewals that were due which were confirmed.
    pub(crate) renewed: f64,
    pub(crate) renewals: Option<Timings>,
    pub(crate) lapsed: u64,
    /// Epochs that began though nothing had happened.
    pub(crate) moves: u64,
    /// Share of the probes that were due which were answered.
    pub(crate) probed: f64,
    pub(crate) looking: Buckets,
    pub(crate) reading: Buckets,
    pub(crate) reads: f64,
    /// CPU in cores, memory in bytes: the leader's, a follower's, a control plane's, the stand-ins'.
    pub(crate) leader: Load,
    pub(crate) follower: Load,
    pub(crate) plane: Load,
    pub(crate) agents: Load,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) cores: f64,
    pub(crate) memory: u64,
}

struct Look {
    at: Instant,
    members: BTreeMap<RegionId, etcd::Seen>,
    planes: BTreeMap<RegionId, crate::planes::Seen>,
    own: Used,
    epochs: u64,
    counts: [u64; 3],
}

pub(crate) async fn measure(
    duration: Duration,
    fleet: &Fleet,
    members: &[Member],
    planes: &[Plane],
    due: Due,
    http: &HttpClient,
) -> anyhow::Result<Steady> {
    drop(fleet.counts.take_renewals());
    let before = look(fleet, members, planes, http).await?;
    sleep(duration).await;
    let after = look(fleet, members, planes, http).await?;
    let seconds = (after.at - before.at).as_secs_f64();
    let grown = |name: &str| {
        let all = after.members.iter();
        all.map(|(region, seen)| seen.series.since(&before.members[region].series, name))
            .sum::<f64>()
    };
    let (leader, leading) = after
        .members
        .iter()
        .find(|(_, seen)| seen.leads())
        .or_else(|| after.members.iter().next())
        .ok_or_else(|| anyhow::anyhow!("find a member of etcd"))?;
    let led = &before.members[leader];
    let load = |used: &Used, before: &Used| Load {
        cores: used.since(before).cpu.as_secs_f64() / seconds,
        memory: used.memory,
    };
    let following = after.members.iter().find(|(region, _)| *region != leader);
    let (mut looking, mut reading, mut fsync) =
        (Buckets::default(), Buckets::default(), Buckets::default());
    leading.series.add_buckets(&led.series, FSYNC, &mut fsync);
    for (region, seen) in &after.planes {
        seen.series.add_buckets(&before.planes[region].series, LOOKING, &mut looking);
        seen.series.add_buckets(&before.planes[region].series, READING, &mut reading);
    }
    let [renewed, lapsed, probed] =
        [0, 1, 2].map(|place| after.counts[place] - before.counts[place]);
    let size = leading.series.get(etcd::SIZE);
    Ok(Steady {
        writes: leading.series.since(&led.series, COMMITTED) / seconds,
        asked: grown(RECEIVED) / seconds,
        #[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^53")]
        written: leading.used.since(&led.used).written as f64 / seconds,
        sent: grown(SENT) / seconds,
        size,
        growth: (size - led.series.get(etcd::SIZE)) / seconds,
        fsync,
        renewed: share(renewed, due.renewals * seconds),
        renewals: Timings::from(fleet.counts.take_renewals()),
        lapsed,
        moves: after.epochs - before.epochs,
        probed: share(probed, due.probes * seconds),
        reads: reading.count() / seconds / f64::from(u32::try_from(planes.len())?),
        looking,
        reading,
        leader: load(&leading.used, &led.used),
        follower: following.map_or_else(Load::default, |(region, seen)| {
            load(&seen.used, &before.members[region].used)
        }),
        plane: after.planes.iter().next().map_or_else(Load::default, |(region, seen)| {
            load(&seen.used, &before.planes[region].used)
        }),
        agents: load(&after.own, &before.own),
    })
}

/// What should come each second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) renewals: f64,
    pub(crate) probes: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn share(count: u64, due: f64) -> f64 {
    count as f64 / due
}

async fn look(
    fleet: &Fleet,
    members: &[Member],
    planes: &[Plane],
    http: &HttpClient,
) -> anyhow::Result<Look> {
    let mut seen = Look {
        at: Instant::now(),
        members: BTreeMap::new(),
        planes: BTreeMap::new(),
        own: process::own()?,
        epochs: fleet.steady().1,
        counts: counts(&fleet.counts),
    };
    for member in members {
        seen.members.insert(member.region.clone(), member.seen(http).await?);
    }
    for plane in planes {
        seen.planes.insert(plane.region.clone(), plane.seen(http).await?);
    }
    Ok(seen)
}

fn counts(counts: &Counts) -> [u64; 3] {
    [&counts.renewed, &counts.lapsed, &counts.probed].map(|count| count.load(Ordering::Relaxed))
}
