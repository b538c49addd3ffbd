//! `make selftest`: cells that are made to do wrong, on a real platform, and the drill's check that is meant to
//! say so. It needs them built with the feature `defects`, which `scripts/selftest` sees to.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tests::Platform;

const DEFECT: &str = "BULKHEAD_DEFECT";
/// How late standbys show what they have: as on a busy machine far away. They confirm it at once.
const LATE: &str = "ALTER SYSTEM SET recovery_min_apply_delay = '300ms'";

#[test]
#[ignore = "make selftest: it takes cells with defects"]
fn a_ticket_that_is_acknowledged_before_its_commit_is_caught() -> anyhow::Result<()> {
    is_caught("ack-before-commit", "no-lost-ack")
}

#[test]
#[ignore = "make selftest: it takes cells with defects"]
fn a_key_that_is_not_remembered_is_caught() -> anyhow::Result<()> {
    is_caught("no-deduplication", "exactly-once")
}

#[test]
#[ignore = "make selftest: it takes cells with defects"]
fn a_read_of_a_standby_that_is_shown_as_a_strong_one_is_caught() -> anyhow::Result<()> {
    is_caught("strong-read-from-standby", "no-stale-strong-read")
}

/// The same drills, and nothing is wrong.
#[test]
#[ignore = "make selftest: it belongs to those with defects"]
fn cells_that_do_right_are_accused_of_nothing() -> anyhow::Result<()> {
    let platform = up(None)?;
    make_late(&platform)?;
    for name in ["strong-read-from-standby", "no-deduplication", "ack-before-commit"] {
        let report = drill(&platform, name)?;
        ensure!(report["verdict"] == "pass", "{name}: {report:#}");
    }
    Ok(())
}

fn is_caught(defect: &str, meant: &str) -> anyhow::Result<()> {
    let platform = up(Some(defect))?;
    if defect == "strong-read-from-standby" {
        make_late(&platform)?;
    }
    let report = drill(&platform, defect)?;
    let checks = report["checks"].as_array().context("find the checks")?;
    let check = checks.iter().find(|check| check["name"] == meant);
    let check = check.with_context(|| format!("find {meant} of {defect} in {report:#}"))?;
    ensure!(check["result"] == "fail", "{meant} lets {defect} pass: {report:#}");
    Ok(())
}

fn up(defect: Option<&str>) -> anyhow::Result<Platform> {
    let environment = defect.map(|defect| (DEFECT, defect.to_owned()));
    Platform::up_in(environment.into_iter().collect(), |written| written)
}

fn make_late(platform: &Platform) -> anyhow::Result<()> {
    for cell in &platform.spec.cells {
        for region in cell.regions() {
            // Not of one transaction. The active site takes no notice.
            for statement in [LATE, "SELECT pg_reload_conf()"] {
                platform.sql(cell.id.as_str(), region.as_str(), statement)?;
            }
        }
    }
    Ok(())
}

fn drill(platform: &Platform, name: &str) -> anyhow::Result<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("selftest/{name}.yaml"));
    let run = platform.run("chaos", &["run", &file.to_string_lossy(), "--json"])?;
    serde_json::from_slice(&run.stdout)
        .with_context(|| format!("read {name}: {}", String::from_utf8_lossy(&run.stderr)))
}
