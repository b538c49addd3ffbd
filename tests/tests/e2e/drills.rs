//! What drills claim holds, again and again, on one platform.

use anyhow::Context as _;
use serde_json::Value;
use tests::Platform;
use tests::drill::assert_holds;

#[test]
fn every_drill_passes_on_one_platform() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    for name in ["evacuate", "postgres-kill", "cell-loss", "router-crash", "region-loss"] {
        passes(name, &drill(&platform, name)?);
    }
    if has_packet_filter(&platform)? {
        passes("commit-ack-cut", &drill(&platform, "commit-ack-cut")?);
        // Whoever sees nobody any more moves nobody.
        let alone = drill(&platform, "observer-alone")?;
        passes("observer-alone", &alone);
        assert_eq!(alone["metrics"]["epochs_changed"], 0, "{alone:#}");
    }
    let small_troubles = drill_for(&platform, "soak", "20s")?;
    passes("soak", &small_troubles);
    assert_eq!(small_troubles["metrics"]["epochs_changed"], 0, "{small_troubles:#}");
    // Whoever stands still and wakes up again acknowledges nothing any more, and comes back whole.
    let stood_still = drill_for(&platform, "freeze-site", "15s")?;
    passes("freeze-site", &stood_still);
    is_frozen_as_a_whole(&stood_still);
    Ok(())
}

fn passes(name: &str, report: &Value) {
    assert_holds(report);
    assert_eq!(report["metrics"]["acked_strong_lost"], 0, "{name}: {report:#}");
}

/// A second start finds what the first has written; a crash of the supervisor leaves nothing running.
#[test]
fn a_second_start_finds_the_data_of_the_first() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let report = drill(&platform, "switchover")?;
    assert_holds(&report);
    let told = platform.run("bulkhead", &["--json", "drills"])?;
    let told: Value = serde_json::from_slice(&told.stdout).context("read the list of drills")?;
    assert_eq!(told["data"][0]["run"], report["id"], "{told:#}");
    assert_eq!(told["data"][0]["verdict"], report["verdict"], "{told:#}");
    let before = platform.fleet()?;
    platform.stop()?;
    for process in &before.processes {
        let gone =
            process.pid.is_none_or(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(gone, "{} still runs", process.name);
    }
    platform.start()?;
    let report = drill(&platform, "switchover")?;
    assert_holds(&report);
    Ok(())
}

/// Whether this machine can cut answers short; says so where it cannot.
#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
fn has_packet_filter(platform: &Platform) -> anyhow::Result<bool> {
    let told = platform.run("chaos", &["doctor"])?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let line = told.lines().find(|line| line.contains("packet filter"));
    let line = line.context("find the packet filter among what drills may need")?;
    let has = line.starts_with('✓');
    if !has {
        eprintln!("skipped: commit-ack-cut, observer-alone ({line})");
    }
    Ok(has)
}

/// One after the other is not all at once: where only that was possible, the test says so.
#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
fn is_frozen_as_a_whole(report: &Value) {
    let proof = report["fault"]["proof"].to_string();
    if proof.contains("SIGSTOP of each") {
        eprintln!("skipped: a site frozen as a whole ({proof})");
    } else {
        assert!(proof.contains("cgroup"), "{report:#}");
    }
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
