//! The drills pass, again and again, on one platform.

use serde_json::Value;
use tests::Platform;

#[test]
fn every_drill_passes_on_one_platform() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    for name in ["switchover", "postgres-kill", "cell-loss", "region-loss", "region-loss"] {
        let report = drill(&platform, name)?;
        assert_eq!(report["verdict"], "pass", "{name}: {report:#}");
        assert_eq!(report["metrics"]["acked_strong_lost"], 0, "{name}: {report:#}");
    }
    Ok(())
}

/// A second start finds what the first has written; a crash of the supervisor leaves nothing running.
#[test]
fn a_second_start_finds_the_data_of_the_first() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let report = drill(&platform, "switchover")?;
    assert_eq!(report["verdict"], "pass", "{report:#}");
    let before = platform.fleet()?;
    platform.stop()?;
    for process in &before.processes {
        let gone =
            process.pid.is_none_or(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(gone, "{} still runs", process.name);
    }
    platform.start()?;
    let report = drill(&platform, "switchover")?;
    assert_eq!(report["verdict"], "pass", "{report:#}");
    Ok(())
}

/// Whoever stands still and wakes up again acknowledges nothing any more, and comes back whole.
#[test]
fn sites_that_stand_still_for_a_while_lose_nothing() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    for name in ["freeze-site", "freeze-agent", "freeze-postgres"] {
        let report = drill_for(&platform, name, "15s")?;
        assert_eq!(report["verdict"], "pass", "{name}: {report:#}");
        assert_eq!(report["metrics"]["acked_strong_lost"], 0, "{name}: {report:#}");
    }
    Ok(())
}

#[test]
fn minutes_of_small_troubles_move_no_cell() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let report = drill_for(&platform, "soak", "3m")?;
    assert_eq!(report["verdict"], "pass", "{report:#}");
    assert_eq!(report["metrics"]["epochs_changed"], 0, "{report:#}");
    Ok(())
}

fn drill(platform: &Platform, name: &str) -> anyhow::Result<Value> {
    report(platform, name, &["run", name, "--json"])
}

fn drill_for(platform: &Platform, name: &str, lasting: &str) -> anyhow::Result<Value> {
    report(platform, name, &["run", name, "--json", "--for", lasting])
}

fn report(platform: &Platform, name: &str, arguments: &[&str]) -> anyhow::Result<Value> {
    let run = platform.run("chaos", arguments)?;
    match serde_json::from_slice(&run.stdout) {
        Ok(report) => Ok(report),
        Err(_) => anyhow::bail!("{name}: {}", String::from_utf8_lossy(&run.stderr)),
    }
}
