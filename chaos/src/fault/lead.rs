//! Leads the connections of everybody at one end to one address through a helper that stands between.
//!
//! The packet filter does it to new connections; those that are open are broken first. The helper's own are
//! told by its cgroup.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use runtime::program;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::{Instant, timeout_at};
use topology::spec::End;

use super::Bench;
use crate::filter::{self, Filter};
use crate::freeze::Cgroup;
use crate::helper;
use crate::process::{Process, tree};
use crate::relay::LISTENS;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label};

/// A helper that listens, and to whom nobody is led yet.
pub(super) struct Lead {
    to: SocketAddr,
    listens: u16,
    namespace: Option<PathBuf>,
    filter: Filter,
    /// The helper's cgroup, as the filter names it.
    cgroup: String,
    said: Lines<BufReader<ChildStdout>>,
    helper: Child,
}

impl Lead {
    /// Starts a helper at an end; `words` say what it does to what is sent to and from `to`.
    pub(super) async fn prepare(
        bench: &Bench<'_>,
        end: &End,
        to: SocketAddr,
        words: impl IntoIterator<Item = String>,
        due: Instant,
        safeguard: &Safeguard,
    ) -> anyhow::Result<Self> {
        let ttl = bench.action.ttl;
        let (run_dir, fleet) = (&bench.platform.run_dir, bench.platform.fleet()?);
        let label = label(run_dir, bench.run, &bench.action.name, safeguard.upcoming());
        let filter = Filter::new(label.clone(), &fleet, end)?;
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
        let namespace = fleet.namespaces.get(&end.to_string()).map(PathBuf::from);
        let words: Vec<String> = words.into_iter().collect();
        let mut helper = helper::start(namespace.as_deref(), &label, &words, ttl)?;
        let said = helper.stdout.take().context("hear the helper")?;
        let mut said = BufReader::new(said).lines();
        let first = heard(&mut said, due).await.context("wait for the helper")?;
        let listens = first.strip_prefix(LISTENS).and_then(|port| port.trim().parse().ok());
        let listens = listens.with_context(|| format!("find the helper's port in {first:?}"))?;
        let process = helper.id().and_then(Process::with_pid);
        let process = process.context("find the helper running")?;
        ensure!(cgroup.make(), "make {cgroup}: it cannot be written to");
        while !cgroup.take_in(&tree(&[process]))? {
            ensure!(Instant::now() < due, "take the helper into {cgroup}");
        }
        let cgroup = cgroup.in_filters().context("name the cgroup to the packet filter")?;
        Ok(Self { to, listens, namespace, filter, cgroup, said, helper })
    }

    /// From now on everybody but the helper is led to it.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        self.filter.set(&chain(&self.cgroup, self.to, self.listens))?;
        break_open(self.namespace.as_deref(), self.to)
    }

    /// Returns what the helper says next.
    pub(super) async fn heard(&mut self, due: Instant) -> anyhow::Result<String> {
        heard(&mut self.said, due).await
    }

    /// Says how many connections have been led, and through whom.
    pub(super) fn proof(&self) -> anyhow::Result<String> {
        let (led, to) = (self.filter.counted()?, self.to);
        let pid = self.helper.id().context("find the helper running")?;
        Ok(format!("{led} connections to {to} were led through process {pid}"))
    }
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
