//! `router.stale`: one router, by the seed, hears nothing of etcd and the control planes until healed, nor
//! they of it; sites and users reach it as before.
//!
//! It is told from the others by a cgroup of its own: what it opens from then on belongs to that, and
//! what it has open is listed by its ports.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use runtime::HttpClient;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use topology::address::Port;
use topology::spec::End;

use super::{Bench, Injection, router_kill};
use crate::connections::{self, Connection};
use crate::filter::Filter;
use crate::freeze::Cgroup;
use crate::process::tree;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label};

const ASK: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Of a router's `/_bulkhead/route`.
#[derive(Deserialize)]
struct Routed {
    version: u64,
    stale: bool,
    age_ms: u64,
}

pub(super) async fn inject(
    bench: &Bench<'_>,
    seed: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let names = router_kill::names(bench)?;
    let name = names.choose(&mut StdRng::seed_from_u64(seed)).context("find a router")?;
    let process = bench.platform.running(name)?;
    let due = Instant::now() + within;
    let run_dir = &bench.platform.run_dir;
    let fleet = bench.platform.fleet()?;
    let table = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
    let filter = Filter::new(table, &fleet, &End::Edge)?;
    let cgroup = Cgroup::apart(process, safeguard).context("find the unified cgroup hierarchy")?;
    safeguard.intend(Undo::Leave(cgroup.clone()), ttl)?;
    ensure!(cgroup.make(), "make {cgroup}: it cannot be written to");
    safeguard.intend(Undo::Filter(filter.clone()), ttl)?;
    injection.begin(&bench.clock);
    while !cgroup.take_in(&tree(&[process]))? {
        ensure!(Instant::now() < due, "take {name} into {cgroup}");
    }
    let sources = sources(bench);
    let open = connections::of(process)?;
    let path = cgroup.in_filters().context("name the cgroup to the packet filter")?;
    filter.set(&chains(&path, &sources, &open))?;
    injection.step(&bench.clock, format!("cut {name} off from etcd and the control planes"));

    let cut = loop {
        let routed = routed(bench, name).await.with_context(|| format!("ask {name}"))?;
        if routed.stale {
            break routed;
        }
        ensure!(Instant::now() < due, "see {name} stale: etcd confirms what it routes by");
        sleep(PAUSE).await;
    };
    let packets = filter.counted()?;
    ensure!(packets > 0, "see packets of {name} dropped: there was none");
    injection.proof.push(format!("{packets} packets of {name} and back were dropped"));
    injection.proof.push(format!(
        "{name} answers, and says that etcd has not confirmed version {} for {} ms more than it may",
        cut.version, cut.age_ms
    ));
    for other in names.iter().filter(|other| *other != name) {
        let routed = routed(bench, other).await.with_context(|| format!("ask {other}"))?;
        ensure!(!routed.stale, "see {other} go on following etcd: it is stale, too");
        injection.proof.push(format!("{other} follows etcd as before"));
    }
    Ok(())
}

/// Returns where a router could hear of anything from.
fn sources(bench: &Bench<'_>) -> Vec<SocketAddr> {
    let spec = &bench.platform.spec;
    let regions = spec.regions.iter().map(|region| &region.id);
    let ports = [Port::EtcdClient, Port::ControlPlane];
    regions
        .flat_map(|region| ports.map(|port| spec.region_address(region, port)))
        .flatten()
        .collect()
}

/// Drops what goes to the sources, and what comes from them over connections that were open before.
fn chains(cgroup: &str, sources: &[SocketAddr], open: &[Connection]) -> String {
    let mut out = String::new();
    let mut back = String::new();
    for source in sources {
        let (ip, port) = (source.ip(), source.port());
        writeln!(
            out,
            "socket cgroupv2 level 1 \"{cgroup}\" ip daddr {ip} tcp dport {port} counter drop"
        )
        .expect("a text takes everything");
    }
    for Connection { own, other } in open.iter().filter(|found| sources.contains(&found.other)) {
        let (own_ip, own_port, ip, port) = (own.ip(), own.port(), other.ip(), other.port());
        writeln!(
            out,
            "ip saddr {own_ip} tcp sport {own_port} ip daddr {ip} tcp dport {port} counter drop"
        )
        .expect("a text takes everything");
        writeln!(
            back,
            "ip saddr {ip} tcp sport {port} ip daddr {own_ip} tcp dport {own_port} counter drop"
        )
        .expect("a text takes everything");
    }
    format!(
        "chain out {{\ntype filter hook output priority 0;\n{out}}}\n\
         chain back {{\ntype filter hook input priority 0;\n{back}}}\n"
    )
}

async fn routed(bench: &Bench<'_>, name: &str) -> anyhow::Result<Routed> {
    let number = name.strip_prefix("router-").and_then(|number| number.parse().ok());
    let number = number.with_context(|| format!("read a number from {name}"))?;
    let address = bench.platform.spec.router_admin_address(number);
    let url = format!("http://{address}/_bulkhead/route?user=drill");
    let http = HttpClient::default();
    let answer = http.call(Method::GET, &url, HeaderMap::new(), "", ASK).await?;
    Ok(answer.json(&url)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_to_the_sources_are_cut_and_those_that_are_open_both_ways() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let open = [
            Connection { own: at("127.0.0.1:40000"), other: at("127.1.0.1:2379") },
            Connection { own: at("127.0.0.1:40001"), other: at("127.1.1.1:8000") },
        ];
        assert_eq!(
            chains("unified/x", &[at("127.1.0.1:2379")], &open),
            "chain out {
type filter hook output priority 0;
socket cgroupv2 level 1 \"unified/x\" ip daddr 127.1.0.1 tcp dport 2379 counter drop
ip saddr 127.0.0.1 tcp sport 40000 ip daddr 127.1.0.1 tcp dport 2379 counter drop
}
chain back {
type filter hook input priority 0;
ip saddr 127.1.0.1 tcp sport 2379 ip daddr 127.0.0.1 tcp dport 40000 counter drop
}
"
        );
    }
}
