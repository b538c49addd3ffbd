//! What is done to a platform's processes.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::clock::BootTime;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use topology::address::Port;
use topology::wire::fleet::{Fleet, FleetProcess, FleetRole, Hold};

use super::Platform;

/// Longer than any test.
const HOLD: Duration = Duration::from_hours(1);
/// Far longer than processes take to end that are killed by the kernel.
const GONE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

impl Platform {
    pub fn fleet(&self) -> anyhow::Result<Fleet> {
        let text = std::fs::read(self.run_dir().join("fleet.json")).context("read fleet.json")?;
        serde_json::from_slice(&text).context("understand fleet.json")
    }

    /// Kills every process with one of these roles, and keeps it from being started again.
    pub fn kill_and_hold(&self, roles: &[FleetRole]) -> anyhow::Result<Vec<FleetProcess>> {
        self.kill_and_hold_if(|process| roles.contains(&process.role))
    }

    /// Kills the site of a cell in a region with everything in it, and keeps it down.
    pub fn kill_and_hold_site(
        &self,
        cell: &str,
        region: &str,
    ) -> anyhow::Result<Vec<FleetProcess>> {
        self.kill_and_hold_if(|process| process.name == format!("{cell}@{region}"))
    }

    /// Kills all that runs in a region, its member of etcd and its control plane too, and keeps it
    /// down.
    pub fn kill_and_hold_region(&self, region: &str) -> anyhow::Result<Vec<FleetProcess>> {
        self.kill_and_hold_if(|process| process.region.as_deref() == Some(region))
    }

    fn kill_and_hold_if(
        &self,
        chosen: impl Fn(&FleetProcess) -> bool,
    ) -> anyhow::Result<Vec<FleetProcess>> {
        let victims: Vec<FleetProcess> =
            self.fleet()?.processes.into_iter().filter(chosen).collect();
        ensure!(!victims.is_empty(), "find whom to kill in fleet.json");
        let hold = Hold { until: (BootTime::now() + HOLD).as_nanos(), reason: "a test".to_owned() };
        let hold = serde_json::to_vec(&hold).context("write a hold")?;
        for victim in &victims {
            runtime::file::replace(&self.hold_path(victim), &hold, 0o644).context("hold")?;
        }
        for victim in &victims {
            // Who is down already has nobody to kill, and stays down.
            let Some(pid) = victim.pid else { continue };
            signal(pid, Signal::KILL).with_context(|| format!("kill {}", victim.name))?;
        }
        self.until_sites_are_gone(&victims)?;
        Ok(victims)
    }

    /// A site's services end with its agent, and may answer one more request before they do.
    fn until_sites_are_gone(&self, killed: &[FleetProcess]) -> anyhow::Result<()> {
        let due = BootTime::now() + GONE;
        for process in killed {
            let (Some(cell), Some(region)) = (&process.cell, &process.region) else { continue };
            let (cell, region) = (cell.parse()?, region.parse()?);
            let gateway = self.spec.site_address(&cell, &region, Port::Gateway);
            let gateway =
                gateway.with_context(|| format!("find the gateway of {}", process.name))?;
            while TcpStream::connect_timeout(&gateway, LOOK).is_ok() {
                ensure!(BootTime::now() < due, "see the gateway of {} end", process.name);
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Lets held processes start again.
    pub fn release(&self, held: &[FleetProcess]) -> anyhow::Result<()> {
        for process in held {
            std::fs::remove_file(self.hold_path(process)).context("remove a hold")?;
        }
        Ok(())
    }

    fn hold_path(&self, process: &FleetProcess) -> PathBuf {
        self.run_dir().join("holds").join(format!("{}.json", process.name))
    }

    /// Kills the agent of a site, which is started again.
    pub fn kill_agent(&self, cell: &str, region: &str) -> anyhow::Result<()> {
        let name = format!("{cell}@{region}");
        let agent = self.fleet()?.processes.into_iter().find(|process| process.name == name);
        let pid = agent.and_then(|agent| agent.pid).context("find the agent")?;
        signal(pid, Signal::KILL)
    }

    /// Stops whoever sends WAL from one site of a cell to those of the regions `to`, as behind a
    /// line that carries nothing. It lasts some seconds: then the standby tries a new connection.
    pub fn stop_sending(
        &self,
        cell: &str,
        from: &str,
        to: &[impl AsRef<str>],
    ) -> anyhow::Result<Stalled> {
        let mut senders = Vec::new();
        for region in to.iter().map(AsRef::as_ref) {
            let find = format!(
                "SELECT pid FROM pg_stat_replication WHERE application_name ~ '^{cell}_{region}_'"
            );
            let pid = self.sql(cell, from, &find)?;
            senders.push(pid.parse().with_context(|| format!("find who sends to {region}"))?);
        }
        let stalled = Stalled { senders };
        for sender in &stalled.senders {
            signal(*sender, Signal::STOP)?;
        }
        Ok(stalled)
    }
}

/// Senders of WAL that stand still. They end with their server at the latest when dropped, and send
/// nothing any more.
pub struct Stalled {
    senders: Vec<u32>,
}

impl Drop for Stalled {
    #[expect(clippy::print_stderr, reason = "a test's words, next to its failure")]
    fn drop(&mut self) {
        for sender in &self.senders {
            if let Err(err) = signal(*sender, Signal::KILL) {
                eprintln!("process {sender} stands still: {err:#}");
            }
        }
    }
}

/// Signals a process. One that has ended needs no signal.
fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("read a pid")?;
    match kill_process(pid, signal) {
        Err(Errno::SRCH) => Ok(()),
        sent => sent.with_context(|| format!("signal process {pid:?}")),
    }
}
