//! The program as people and scripts call it.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

const GOOD: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.151.0.0/16}
  - {id: north, name: 华北, network: 127.152.0.0/16}
  - {id: south, name: 华南, network: 127.153.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '127.150.0.1:8080', admin: '127.150.0.1:9080', routers: 2}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";

#[test]
fn check_prints_six_findings_with_their_lines_and_exits_with_2() {
    let bad = GOOD
        .replace("id: north", "id: North")
        .replace("[north, south]", "[south, east]")
        .replace("weight: 1", "weight: many")
        .replace("home: east", "home: west")
        .replace("routers: 2", "routers: 0")
        .replace("patience: 2s", "patience: 1700ms")
        .replace("messages: weak", "messages: sometimes");
    let folder = Folder::new("findings");
    let file = folder.write("regions.yaml", &bad);
    let outcome = platform(&["check", &file]);
    let said = stdout(&outcome);
    let places: Vec<&str> = said
        .lines()
        .map(|line| line.strip_prefix(&format!("{file}:")).expect("each line names the file"))
        .map(|line| &line[..line.find(": ").expect("a place follows the line number")])
        .collect();
    assert_eq!(places, ["4", "7", "7", "8", "9", "10"], "{outcome:?}");
    assert_eq!(outcome.status.code(), Some(2));
}

#[test]
fn check_accepts_a_good_file_and_says_what_it_describes() {
    let folder = Folder::new("good");
    let file = folder.write("regions.yaml", GOOD);
    let outcome = platform(&["check", &file]);
    assert_eq!(
        stdout(&outcome),
        format!("{file}: no findings; 3 regions, 1 cell, 3 sites, 2 routers\n")
    );
    assert_eq!(outcome.status.code(), Some(0));
}

#[test]
fn up_says_every_finding_and_starts_nothing() {
    let folder = Folder::new("up-findings");
    let bad = GOOD.replace("routers: 2", "routers: 0").replace("messages: weak", "messages: no");
    let file = folder.write("regions.yaml", &bad);
    let run_dir = folder.path("run");
    let outcome = platform(&["up", "--spec", &file, "--run-dir", &run_dir]);
    assert_eq!(stderr(&outcome).lines().count(), 2, "{outcome:?}");
    assert_eq!(outcome.status.code(), Some(2));
    assert!(!PathBuf::from(run_dir).exists());
}

#[test]
fn up_names_all_busy_ports_at_once_and_starts_nothing() {
    let folder = Folder::new("busy");
    let file = folder.write("regions.yaml", GOOD);
    let run_dir = folder.path("run");
    let busy = ["127.151.0.1:2379", "127.152.1.1:5432", "127.152.1.1:8000", "127.150.0.1:9081"];
    let _held = busy.map(|address| TcpListener::bind(address).expect("an address of this test"));
    let outcome = platform(&["up", "--spec", &file, "--run-dir", &run_dir]);
    let said = stderr(&outcome);
    for line in [
        "127.151.0.1: port 2379: in use by another process",
        "127.152.1.1: port 8000, 5432: in use by another process",
        "127.150.0.1: port 9081: in use by another process",
    ] {
        assert!(said.contains(line), "{line:?} in\n{said}");
    }
    assert_eq!(outcome.status.code(), Some(1));
    assert!(!PathBuf::from(run_dir).exists());
}

#[test]
fn status_of_nothing_says_so_and_exits_with_1() {
    let folder = Folder::new("status");
    let outcome = platform(&["status", "--run-dir", &folder.path("run")]);
    assert_eq!(stdout(&outcome), format!("nothing runs in {}\n", folder.path("run")));
    assert_eq!(outcome.status.code(), Some(1));
}

#[test]
fn a_token_before_the_first_start_says_what_makes_its_key() {
    let folder = Folder::new("token");
    let outcome = platform(&["token", "alice", "--run-dir", &folder.path("run")]);
    assert!(stderr(&outcome).contains("`platform up` makes it"), "{outcome:?}");
    assert_eq!(outcome.status.code(), Some(1));
}

#[test]
fn wrong_usage_exits_with_2() {
    for wrong in
        [&["upp"][..], &["token"], &["token", ""], &["token", "alice", "--expires", "soon"]]
    {
        assert_eq!(platform(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

fn platform(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_platform"))
        .args(arguments)
        .env_remove("BULKHEAD_SPEC")
        .env_remove("BULKHEAD_RUN_DIR")
        .output()
        .expect("the program was built for this test")
}

fn stdout(outcome: &Output) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

fn stderr(outcome: &Output) -> String {
    String::from_utf8_lossy(&outcome.stderr).into_owned()
}

/// A folder of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("the temporary folder can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the temporary folder can be deleted");
    }
}
