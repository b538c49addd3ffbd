//! `make selftest`: a platform that is made to do wrong, and the drill's check that is meant to say so. It
//! needs programs built with the feature `defects`, which `scripts/selftest` sees to.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tests::Platform;

const DEFECT: &str = "BULKHEAD_DEFECT";
/// How late standbys show what they have: as on a busy machine far away. They confirm it at once.
const LATE: &str = "ALTER SYSTEM SET recovery_min_apply_delay = '300ms'";

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_ticket_that_is_acknowledged_before_its_commit_is_caught() -> anyhow::Result<()> {
    is_caught("ack-before-commit", "no-lost-ack")
}

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_site_that_goes_on_when_its_right_is_over_is_caught() -> anyhow::Result<()> {
    is_caught("no-fence-on-thaw", "no-late-ack")
}

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_key_that_is_not_remembered_is_caught() -> anyhow::Result<()> {
    is_caught("no-deduplication", "exactly-once")
}

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_key_that_a_successor_does_not_know_is_caught() -> anyhow::Result<()> {
    is_caught("keys-not-replicated", "exactly-once")
}

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_standby_that_is_promoted_although_another_one_has_more_is_caught() -> anyhow::Result<()> {
    is_caught("lagging-standby-promoted", "no-lost-ack")
}

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_read_of_a_standby_that_is_shown_as_a_strong_one_is_caught() -> anyhow::Result<()> {
    is_caught("strong-read-from-standby", "no-stale-strong-read")
}

/// No check can see a router that sends requests under an epoch that is over, as long as sites know their own
/// and voters theirs.
#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn a_router_that_ignores_epochs_is_refused_by_sites() -> anyhow::Result<()> {
    let report = drill(&up(Some("epoch-ignored"))?, "epoch-ignored")?;
    ensure!(report["verdict"] == "pass", "{report:#}");
    Ok(())
}

/// Voters acknowledge no ticket of a site that was succeeded, whatever it believes; a message waits for nobody.
#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn and_what_sites_do_not_refuse_is_caught() -> anyhow::Result<()> {
    let report = drill(&up(Some("epoch-ignored,no-fence-on-thaw"))?, "epoch-ignored")?;
    ensure!(result(&report, "no-late-ack")? == "fail", "{report:#}");
    for check in ["single-writer", "no-lost-ack"] {
        ensure!(result(&report, check)? == "pass", "{check}: {report:#}");
    }
    Ok(())
}

#[test]
#[ignore = "make selftest: it takes programs with defects"]
fn and_so_is_a_ticket_that_is_acknowledged_under_an_epoch_that_is_over() -> anyhow::Result<()> {
    let defects = "epoch-ignored,no-fence-on-thaw,ack-before-commit";
    let report = drill(&up(Some(defects))?, "epoch-ignored")?;
    ensure!(result(&report, "single-writer")? == "fail", "{report:#}");
    Ok(())
}

/// The same drills, and nothing is wrong.
#[test]
#[ignore = "make selftest: it belongs to those with defects"]
fn programs_that_do_right_are_accused_of_nothing() -> anyhow::Result<()> {
    let platform = up(None)?;
    make_late(&platform)?;
    for entry in fs::read_dir(folder())? {
        let file = entry?.path();
        let report = run(&platform, &file)?;
        ensure!(report["verdict"] == "pass", "{}: {report:#}", file.display());
    }
    Ok(())
}

fn is_caught(defect: &str, meant: &str) -> anyhow::Result<()> {
    let platform = up(Some(defect))?;
    if defect == "strong-read-from-standby" {
        make_late(&platform)?;
    }
    let report = drill(&platform, defect)?;
    ensure!(result(&report, meant)? == "fail", "{meant} lets {defect} pass: {report:#}");
    Ok(())
}

/// Returns what a check of a report came to.
fn result<'a>(report: &'a Value, check: &str) -> anyhow::Result<&'a Value> {
    let checks = report["checks"].as_array().context("find the checks")?;
    let found = checks.iter().find(|found| found["name"] == check);
    Ok(&found.with_context(|| format!("find {check} in {report:#}"))?["result"])
}

/// Starts a platform that has these defects, with commas between them.
fn up(defects: Option<&str>) -> anyhow::Result<Platform> {
    let environment = defects.map(|defects| (DEFECT, defects.to_owned()));
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
    run(platform, &folder().join(format!("{name}.yaml")))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("selftest")
}

fn run(platform: &Platform, file: &Path) -> anyhow::Result<Value> {
    let run = platform.run("chaos", &["run", &file.to_string_lossy(), "--json"])?;
    serde_json::from_slice(&run.stdout).with_context(|| {
        format!("read {}: {}", file.display(), String::from_utf8_lossy(&run.stderr))
    })
}
