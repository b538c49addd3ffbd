//! What drills claim holds, again and again, on one platform.

use std::time::Duration;

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
    for of in ["postgresql", "etcd", "kernel"] {
        assert!(report["versions"][of].is_string(), "{of}: {}", report["versions"]);
    }
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

/// As from another machine, whose run directory is not this one.
#[test]
fn a_lever_pulled_in_etcd_alone_stops_drills() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let pulled_in_etcd = || {
        platform.run("chaos", &["lever", "pull", "a real incident"])?;
        std::fs::remove_file(platform.run_dir().join("drills/lever")).context("remove the file")
    };
    let code = |arguments: &[&str]| anyhow::Ok(platform.run("chaos", arguments)?.status.code());
    pulled_in_etcd()?;
    let told = platform.run("chaos", &["lever"])?;
    assert_eq!(told.status.code(), Some(8));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let (pulled, by) = told.split_once(" (by ").context("find who pulled it")?;
    assert_eq!(pulled, "file: released\netcd: pulled: a real incident");
    assert!(by.contains('@') && by.contains(", since "), "{told}");
    assert_eq!(code(&["run", "switchover"])?, Some(8));
    assert_eq!(code(&["lever", "release"])?, Some(0));

    std::thread::scope(|scope| -> anyhow::Result<()> {
        let soak = scope.spawn(|| drill_for(&platform, "soak", "2m"));
        until_broken(&platform)?;
        pulled_in_etcd()?;
        let report = soak.join().unwrap()?;
        let stopped = Value::from("stopped by the lever: a real incident");
        let reasons = report["reasons"].as_array().context("find why it ended")?;
        assert!(reasons.contains(&stopped), "{report:#}");
        Ok(())
    })?;
    assert_eq!(code(&["lever", "release"])?, Some(0));
    assert_eq!(code(&["lever"])?, Some(0));
    Ok(())
}

/// Returns once a drill has done something.
fn until_broken(platform: &Platform) -> anyhow::Result<()> {
    let drills = platform.run_dir().join("drills");
    // A busy machine is ready for it within three minutes.
    for _ in 0..1800 {
        for run in std::fs::read_dir(&drills).context("list the runs")? {
            let journal = run.context("list the runs")?.path().join("journal.jsonl");
            let told = std::fs::read_to_string(journal).unwrap_or_default();
            if told.contains("applied") {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("wait for a drill to break something")
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
