//! `net.stream`: of the answers to writes a share is cut off until healed, after what was asked for has been
//! passed on: those of a cell's active site to the routers, or those of its PostgreSQL to its services.
//!
//! The packet filter leads new connections to a helper, which stands between; those that are open are
//! broken first. The helper's own are told by its cgroup.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout_at};
use topology::SiteId;
use topology::address::Port;
use topology::spec::End;

use super::{Bench, Injection};
use crate::drill::Cut;
use crate::filter::{self, Filter};
use crate::freeze::Cgroup;
use crate::helper;
use crate::process::{Process, tree};
use crate::program;
use crate::relay::{CUT, LISTENS};
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label};

/// Of what answers, how much is cut.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) cut: Cut,
    pub(super) percent: u8,
    pub(super) seed: u64,
}

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    share: Share,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let Share { cut, percent, seed } = share;
    let ttl = bench.action.ttl;
    let due = Instant::now() + bench.action.verify_within;
    let (end, port) = match cut {
        Cut::Answers => (End::Edge, Port::Gateway),
        Cut::Commits => (End::Region(site.region.clone()), Port::Postgres),
    };
    let to = bench.platform.spec.site_address(&site.cell, &site.region, port);
    let to = to.with_context(|| format!("find {site} in the spec"))?;
    let (run_dir, fleet) = (&bench.platform.run_dir, bench.platform.fleet()?);
    let label = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
    let filter = Filter::new(label.clone(), &fleet, &end)?;
    // The helper will be where this process is.
    let own = Process::own().context("find this process in /proc")?;
    let cgroup = Cgroup::apart(own, safeguard).context("find the unified cgroup hierarchy")?;
    // All at once, so that their time is over at once: nobody is led to a helper that has ended.
    safeguard.intend_all(
        [
            Undo::End { label: label.clone() },
            Undo::Leave(cgroup.clone()),
            Undo::Filter(filter.clone()),
        ],
        ttl,
    )?;
    let words = ["relay".to_owned(), to.to_string(), cut.to_string()];
    let words = words.into_iter().chain([percent.to_string(), seed.to_string()]);
    let namespace = fleet.namespaces.get(&end.to_string()).map(PathBuf::from);
    let words: Vec<String> = words.collect();
    let mut relay = helper::start(namespace.as_deref(), &label, &words, ttl)?;
    let said = relay.stdout.take().context("hear the helper")?;
    let mut said = BufReader::new(said).lines();
    let first = heard(&mut said, due).await.context("wait for the helper")?;
    let listens = first.strip_prefix(LISTENS).and_then(|port| port.trim().parse().ok());
    let listens: u16 = listens.with_context(|| format!("find the helper's port in {first:?}"))?;
    let process = relay.id().and_then(Process::with_pid).context("find the helper running")?;
    ensure!(cgroup.make(), "make {cgroup}: it cannot be written to");
    while !cgroup.take_in(&tree(&[process]))? {
        ensure!(Instant::now() < due, "take the helper into {cgroup}");
    }
    let path = cgroup.in_filters().context("name the cgroup to the packet filter")?;
    injection.begin(&bench.clock);
    filter.set(&chain(&path, to, listens))?;
    break_open(namespace.as_deref(), to)?;
    injection.step(&bench.clock, format!("led connections to {to} through a helper"));
    let what = heard(&mut said, due).await.with_context(|| format!("see {cut} cut off"))?;
    ensure!(what == CUT, "see {cut} cut off: the helper said {what:?}");
    let led = filter.counted()?;
    injection
        .proof
        .push(format!("{led} connections to {site} were led through process {}", process.pid));
    injection.proof.push(format!(
        "the first of the {cut} was cut off after {} ms; {percent} % will be",
        bench.clock.now().saturating_sub(injection.ended).as_millis()
    ));
    Ok(())
}

async fn heard(said: &mut Lines<BufReader<ChildStdout>>, due: Instant) -> anyhow::Result<String> {
    let line = timeout_at(due, said.next_line()).await.context("hear it in time")?;
    line.context("hear it")?.context("hear it: it has ended")
}

fn chain(cgroup: &str, to: SocketAddr, listens: u16) -> String {
    let (ip, port) = (to.ip(), to.port());
    format!(
        "chain out {{\ntype nat hook output priority -100;\n\
         socket cgroupv2 level 1 \"{cgroup}\" accept\n\
         ip daddr {ip} tcp dport {port} counter redirect to :{listens}\n}}\n"
    )
}

/// Ends the connections that go past the helper; who has them opens others.
fn break_open(namespace: Option<&Path>, to: SocketAddr) -> anyhow::Result<()> {
    let mut ss: Command = filter::command(namespace, "ss");
    ss.args(["--kill", "--no-header", "--tcp", "--numeric", "state", "established", "dst"]);
    ss.arg(to.to_string());
    program::run(ss, "").map(|_| ()).context("break connections; ss is of iproute2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_but_the_helper_is_led_to_it() {
        assert_eq!(
            chain("unified/x", "127.1.1.1:8000".parse().unwrap(), 4711),
            "chain out {
type nat hook output priority -100;
socket cgroupv2 level 1 \"unified/x\" accept
ip daddr 127.1.1.1 tcp dport 8000 counter redirect to :4711
}
"
        );
    }
}
