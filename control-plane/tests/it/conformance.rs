//! A fuzzer that reads the document holds a real control plane against it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use topology::address::Port;

use crate::platform::Platform;

/// How long the tool may take to be found, or installed.
const INSTALL: Duration = Duration::from_mins(2);
/// How long it may take in all; it takes a third.
const RUN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "who runs the tests should know what was not run")]
async fn the_api_does_what_its_document_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let found = Command::new(root.join("scripts/tool"))
        .arg("schemathesis")
        .current_dir(root)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let found = timeout(INSTALL, found).await;
    let Ok(Ok(found)) =
        found.map(|found| found.map(|found| (found.status.success(), found.stdout)))
    else {
        return eprintln!("SKIPPED: scripts/tool cannot be run");
    };
    let (true, path) = found else {
        return eprintln!(
            "SKIPPED: schemathesis is not installed, and not to be had without network"
        );
    };
    let tool = root.join(String::from_utf8(path).unwrap().trim());

    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let drills = async || platform.get("north", "/v1/drills").await.is_some();
        assert!(platform.until(drills).await, "the drills are not read");
        let address = platform.address("north", Port::ControlPlane);
        let run = Command::new(&tool)
            .arg("run")
            .arg(format!("http://{address}/v1/openapi.json"))
            .args(["-H", &format!("Authorization: Bearer {}", Platform::token())])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10"])
            // A stream does not end. A schema cannot say that a region must be the cell's.
            .args(["--exclude-path", "/v1/events"])
            .args(["--exclude-checks", "positive_data_acceptance"])
            .args(["--seed", "1", "--generation-database", "none", "--no-color"])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let run = timeout(RUN, run).await.expect("it ends in time").unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    })
    .await;
}
