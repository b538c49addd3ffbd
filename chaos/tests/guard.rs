//! The guard: whatever becomes of the drill, what it froze goes on.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap())
    }

    fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }

    /// What a drill tells its guard of it.
    fn line(&self) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        format!("process\t{}\t{}\n", self.0.id(), fields[19])
    }

    fn stop(&self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
        self.wait_for(|state| state == 'T');
    }

    /// Ends with the test's own time limit, not with one of its own.
    fn wait_for(&self, is_so: impl Fn(char) -> bool) {
        while !is_so(self.state()) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A guard that is ready and has been told of the sleeper, which is stopped then.
fn guarded(sleeper: &Sleeper, ttl_ms: &str) -> (Child, ChildStdin) {
    let mut guard = Command::new(env!("CARGO_BIN_EXE_chaos"))
        .args(["guard", "--ttl-ms", ttl_ms])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(guard.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let mut told = guard.stdin.take().unwrap();
    told.write_all(sleeper.line().as_bytes()).unwrap();
    sleeper.stop();
    (guard, told)
}

#[test]
fn what_was_frozen_goes_on_when_the_drill_is_gone() {
    let sleeper = Sleeper::start();
    let (mut guard, told) = guarded(&sleeper, "600000");
    assert_eq!(sleeper.state(), 'T');
    // The kernel closes a dead drill's end of the pipe.
    drop(told);
    sleeper.wait_for(|state| state != 'T');
    assert!(guard.wait().unwrap().success());
}

#[test]
fn what_was_frozen_goes_on_when_the_time_is_over_though_the_drill_hangs() {
    let sleeper = Sleeper::start();
    let (mut guard, told) = guarded(&sleeper, "300");
    sleeper.wait_for(|state| state != 'T');
    assert!(guard.wait().unwrap().success());
    drop(told);
}

#[test]
fn a_guard_that_is_asked_to_end_thaws_first() {
    let sleeper = Sleeper::start();
    let (mut guard, told) = guarded(&sleeper, "600000");
    let pid = guard.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    sleeper.wait_for(|state| state != 'T');
    assert!(guard.wait().unwrap().success());
    drop(told);
}
