//! Cuts one process off from others, in the packet filter of its own network: nobody else's lines are touched.
//!
//! It is told from the others by a cgroup of its own: what it opens from then on belongs to that, and
//! what it has open is listed by its ports.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, ensure};
use tokio::time::Instant;
use topology::spec::End;

use super::{Bench, Injection};
use crate::connections::{self, Connection};
use crate::filter::Filter;
use crate::freeze::Cgroup;
use crate::process::tree;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label};

/// Whom it does not reach any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Far {
    Port(SocketAddr),
    /// Whatever listens there.
    Host(IpAddr),
}

impl Far {
    fn is(self, other: SocketAddr) -> bool {
        match self {
            Self::Port(address) => address == other,
            Self::Host(ip) => ip == other.ip(),
        }
    }
}

/// Which process, in whose network, and from whom.
pub(super) struct CutOff<'a> {
    pub(super) name: &'a str,
    pub(super) end: End,
    pub(super) far: Vec<Far>,
    /// Where it listens for others that are to reach it no more either, if anywhere.
    pub(super) shut: Option<SocketAddr>,
    /// From whom, for people.
    pub(super) from: &'a str,
}

/// Cuts it off until healed. Returns what counts the packets that are dropped.
pub(super) async fn cut_off(
    bench: &Bench<'_>,
    cut: CutOff<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<Filter> {
    let CutOff { name, end, far, shut, from } = cut;
    let (ttl, within) = (bench.action.ttl, bench.action.verify_within);
    let process = bench.platform.running(name)?;
    let due = Instant::now() + within;
    let run_dir = &bench.platform.run_dir;
    let fleet = bench.platform.fleet()?;
    let table = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
    let filter = Filter::new(table, &fleet, &end)?;
    let cgroup = Cgroup::apart(process, safeguard).context("find the unified cgroup hierarchy")?;
    safeguard.intend(Undo::Leave(cgroup.clone()), ttl)?;
    ensure!(cgroup.make(), "make {cgroup}: it cannot be written to");
    safeguard.intend(Undo::Filter(filter.clone()), ttl)?;
    injection.begin(&bench.clock);
    while !cgroup.take_in(&tree(&[process]))? {
        ensure!(Instant::now() < due, "take {name} into {cgroup}");
    }
    let open = connections::of(process)?;
    let path = cgroup.in_filters().context("name the cgroup to the packet filter")?;
    filter.set(&chains(&path, &far, shut, &open))?;
    injection.step(&bench.clock, format!("cut {name} off from {from}"));
    Ok(filter)
}

/// Drops what goes to the others, and what comes from them over connections that were open before, or to
/// where it listens.
fn chains(cgroup: &str, far: &[Far], shut: Option<SocketAddr>, open: &[Connection]) -> String {
    let mut out = String::new();
    let mut back = String::new();
    if let Some(own) = shut {
        let (ip, port) = (own.ip(), own.port());
        writeln!(out, "ip saddr {ip} tcp sport {port} counter drop")
            .expect("a text takes everything");
        writeln!(back, "ip daddr {ip} tcp dport {port} counter drop")
            .expect("a text takes everything");
    }
    for other in far {
        let to = match other {
            Far::Port(address) => {
                format!("ip daddr {} tcp dport {}", address.ip(), address.port())
            }
            Far::Host(ip) => format!("ip daddr {ip}"),
        };
        writeln!(out, "socket cgroupv2 level 1 \"{cgroup}\" {to} counter drop")
            .expect("a text takes everything");
    }
    let is_far = |found: &&Connection| far.iter().any(|one| one.is(found.other));
    for Connection { own, other } in open.iter().filter(is_far) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_to_the_others_are_cut_and_those_that_are_open_both_ways() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let open = [
            Connection { own: at("127.0.0.1:40000"), other: at("127.1.0.1:2379") },
            Connection { own: at("127.0.0.1:40001"), other: at("127.1.1.1:8000") },
            Connection { own: at("127.0.0.1:40002"), other: at("127.1.0.1:7000") },
        ];
        let far = [Far::Port(at("127.1.0.1:2379")), Far::Host("127.1.1.1".parse().unwrap())];
        assert_eq!(
            chains("unified/x", &far, None, &open),
            "chain out {
type filter hook output priority 0;
socket cgroupv2 level 1 \"unified/x\" ip daddr 127.1.0.1 tcp dport 2379 counter drop
socket cgroupv2 level 1 \"unified/x\" ip daddr 127.1.1.1 counter drop
ip saddr 127.0.0.1 tcp sport 40000 ip daddr 127.1.0.1 tcp dport 2379 counter drop
ip saddr 127.0.0.1 tcp sport 40001 ip daddr 127.1.1.1 tcp dport 8000 counter drop
}
chain back {
type filter hook input priority 0;
ip saddr 127.1.0.1 tcp sport 2379 ip daddr 127.0.0.1 tcp dport 40000 counter drop
ip saddr 127.1.1.1 tcp sport 8000 ip daddr 127.0.0.1 tcp dport 40001 counter drop
}
"
        );
    }

    #[test]
    fn where_it_listens_nobody_reaches_it_and_it_answers_nobody() {
        let own = "127.1.0.1:2380".parse().unwrap();
        let far = [Far::Port("127.1.1.1:2380".parse().unwrap())];
        // What others have opened is of its own port, and needs no line of its own.
        let open = [Connection { own, other: "127.0.0.1:50000".parse().unwrap() }];
        assert_eq!(
            chains("unified/x", &far, Some(own), &open),
            "chain out {
type filter hook output priority 0;
ip saddr 127.1.0.1 tcp sport 2380 counter drop
socket cgroupv2 level 1 \"unified/x\" ip daddr 127.1.1.1 tcp dport 2380 counter drop
}
chain back {
type filter hook input priority 0;
ip daddr 127.1.0.1 tcp dport 2380 counter drop
}
"
        );
    }
}
