//! `chaos doctor`: what this machine lacks for drills, and what that costs.

use std::fs;
use std::path::Path;

use runtime::fake_clock;
use rustix::fs::statvfs;

use crate::fault::etcd::tools;
use crate::fault::restore;
use crate::filter;
use crate::freeze::disk_limits;

/// Below it a machine is too slow for the claims of the drills that come along.
const CORES: usize = 2;
const MEMORY_MIB: u64 = 3 * 1024;
const FREE_MIB: u64 = 2 * 1024;

/// One thing drills may need.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    pub(crate) found: Result<String, String>,
    /// What is not possible without it.
    pub(crate) costs: &'static str,
}

/// Looks at everything; changes nothing.
pub(crate) fn look(run_dir: &Path) -> Vec<Need> {
    let need = |name, found, costs| Need { name, found, costs };
    vec![
        need("root", root(), "faults of the network, and of PostgreSQL that runs as another user"),
        need(
            "cgroup freezer",
            freezer(),
            "a site frozen as a whole; its processes are stopped one by one instead",
        ),
        need("cgroup cpu", cpu(), "starving a site of CPU"),
        need("disk limits", disk_limits(), "a disk that is slow for one database"),
        need(
            "packet filter",
            filtering(),
            "one router cut off from etcd, etcd's leader from the others, and answers cut short",
        ),
        need(
            "clocks",
            clocks(),
            "wrong clocks; platform up --clocks starts sites that can have them",
        ),
        need("snapshots of etcd", snapshots(), "etcd deleted, and restored from a snapshot"),
        need("backups", backups(), "a cell restored from its backups; without it there are none"),
        need("emulated WAN", wan(), "distances between regions, and faults of the network"),
        need("processors", cores(), "claims of milliseconds: everything shares one core"),
        need("memory", memory(), "a whole platform: nine databases and their services"),
        need("disk", disk(run_dir), "data and reports of a whole platform"),
    ]
}

fn root() -> Result<String, String> {
    let uid = rustix::process::geteuid();
    if uid.is_root() { Ok("yes".to_owned()) } else { Err(format!("user {}", uid.as_raw())) }
}

fn freezer() -> Result<String, String> {
    let places = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    places.iter().find(|place| writable(place)).map_or_else(
        || Err("no cgroup hierarchy can be written to".to_owned()),
        |place| Ok((*place).to_owned()),
    )
}

/// Quotas are written as cgroup v1 has them.
fn cpu() -> Result<String, String> {
    let v1 = "/sys/fs/cgroup/cpu";
    if Path::new(v1).join("cpu.cfs_quota_us").exists() || writable(v1) {
        return Ok(v1.to_owned());
    }
    Err("no cgroup v1 hierarchy has the cpu controller".to_owned())
}

fn writable(folder: &str) -> bool {
    let is_cgroup = Path::new(folder).join("cgroup.procs").exists();
    is_cgroup && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

fn filtering() -> Result<String, String> {
    match filter::missing() {
        Some(missing) => Err(missing.to_owned()),
        None => Ok("nftables".to_owned()),
    }
}

fn clocks() -> Result<String, String> {
    fake_clock::library().map(|library| library.display().to_string())
}

fn snapshots() -> Result<String, String> {
    let (saves, restores) = tools::found().ok_or(tools::WITHOUT)?;
    Ok(format!("{saves} saves them, {restores} restores them"))
}

fn backups() -> Result<String, String> {
    if restore::is_installed() {
        Ok("pgbackrest".to_owned())
    } else {
        Err(restore::WITHOUT.to_owned())
    }
}

fn wan() -> Result<String, String> {
    let missing = runtime::emulation::missing();
    if missing.is_empty() {
        Ok("start with `platform up --wan`".to_owned())
    } else {
        Err(missing.join("; "))
    }
}

fn cores() -> Result<String, String> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let told = format!("{count}");
    if count >= CORES { Ok(told) } else { Err(format!("{told}, {CORES} needed")) }
}

fn memory() -> Result<String, String> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|err| err.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let mib = kib.ok_or("/proc/meminfo does not say")? / 1024;
    enough(mib, MEMORY_MIB)
}

fn disk(run_dir: &Path) -> Result<String, String> {
    // The run directory may not be there yet; what it will be on is.
    let place = run_dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let found = statvfs(place).map_err(|err| format!("{}: {err}", place.display()))?;
    enough(found.f_bavail.saturating_mul(found.f_frsize) >> 20, FREE_MIB)
}

fn enough(mib: u64, needed: u64) -> Result<String, String> {
    let told = format!("{mib} MiB free");
    if mib >= needed { Ok(told) } else { Err(format!("{told}, {needed} MiB needed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_little_is_told_with_what_is_needed() {
        assert_eq!(enough(10, 20), Err("10 MiB free, 20 MiB needed".to_owned()));
        assert_eq!(enough(30, 20), Ok("30 MiB free".to_owned()));
    }
}
