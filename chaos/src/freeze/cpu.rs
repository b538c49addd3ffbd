//! A cgroup whose members share a small part of one processor.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep};

use super::Cgroup;
use crate::process::{Process, tree};
use crate::safeguard::Safeguard;
use crate::undo::Undo;

const LOOK: Duration = Duration::from_millis(20);

/// Lets processes with everything they start have `percent` of one processor together. Returns how
/// many they are, and what proves that they get no more.
pub(crate) async fn starve_trees(
    roots: &[Process],
    percent: u8,
    safeguard: &Safeguard,
    ttl: Duration,
    within: Duration,
) -> anyhow::Result<(usize, String)> {
    let due = Instant::now() + within;
    let first = roots.first().context("starve nobody")?;
    let cgroup = Cgroup::of_cpu(*first, safeguard);
    let cgroup = cgroup.context("find the cpu controller of a cgroup hierarchy: there is none")?;
    safeguard.intend(Undo::Leave(cgroup.clone()), ttl)?;
    if !cgroup.make() {
        bail!("make {cgroup}: it cannot be written to");
    }
    cgroup.limit(percent)?;
    let mut found = tree(roots);
    while !cgroup.take_in(&found)? {
        if Instant::now() >= due {
            bail!("take {} processes into {cgroup}", found.len());
        }
        found.extend(tree(roots));
    }
    // An idle site may not reach its limit at once; one under load does.
    loop {
        let throttled = throttled(&cgroup)?;
        if throttled > 0 {
            let told = format!("{cgroup}: throttled {throttled} times so far");
            return Ok((found.len(), told));
        }
        if Instant::now() >= due {
            bail!("see {cgroup} throttled within {within:?}");
        }
        sleep(LOOK).await;
    }
}

fn throttled(cgroup: &Cgroup) -> anyhow::Result<u64> {
    let path = cgroup.folder().join("cpu.stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    Ok(line.and_then(|count| count.parse().ok()).unwrap_or(0))
}
