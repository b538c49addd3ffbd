//! `cell watchdog` itself, behind a pipe from an agent that passes on what it is told, over a server
//! that only sleeps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use cell::watchdog::Order;
use runtime::clock::BootTime;
use runtime::process::Process;
use rustix::process::{Pid, Signal, kill_process};

/// A right that runs out while a test waits for it, and not before it is renewed.
const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_hours(1);
/// Far more than anything awaited here takes.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(5);

#[test]
fn a_server_whose_agent_stands_still_is_stopped_when_its_right_is_over() {
    let mut site = Site::start();
    let over = BootTime::now() + SHORT;
    site.tell(Order::Until(over));
    site.understood();
    signal(&site.agent, Signal::STOP);
    until("the agent stands still", || is_stopped(&site.agent));
    // What a frozen agent would pass on comes too late.
    site.tell(Order::Until(over + LONG));
    assert_eq!(site.server_ended().signal(), Some(Signal::QUIT.as_raw()));
    assert!(BootTime::now() >= over, "it had its right");
    assert!(is_stopped(&site.agent), "its agent moved");
}

#[test]
fn a_server_whose_agent_is_killed_is_stopped_at_once() {
    let mut site = Site::start();
    site.tell(Order::Until(BootTime::now() + LONG));
    site.understood();
    signal(&site.agent, Signal::KILL);
    assert_eq!(site.server_ended().signal(), Some(Signal::QUIT.as_raw()));
    assert!(wait(&mut site.watchdog).success(), "nobody is left to watch");
}

#[test]
fn a_server_that_stands_still_itself_is_killed() {
    let mut site = Site::start();
    signal(&site.server, Signal::STOP);
    until("the server stands still", || is_stopped(&site.server));
    signal(&site.agent, Signal::KILL);
    assert_eq!(site.server_ended().signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn whatever_a_server_has_started_is_killed_with_it() {
    let mut site = Site::over(Command::new("sh").args(["-c", "sleep 1000 & wait"]));
    let mut children = Vec::new();
    until("it has a child", || {
        children = Process::with_pid(site.server.id()).map(Process::descendants).unwrap();
        !children.is_empty()
    });
    signal(&site.server, Signal::STOP);
    until("the server stands still", || is_stopped(&site.server));
    signal(&site.agent, Signal::KILL);
    assert_eq!(site.server_ended().signal(), Some(Signal::KILL.as_raw()));
    until("its child has ended", || !children[0].is_alive());
}

#[test]
fn a_server_whose_right_is_renewed_in_time_runs_on() {
    let mut site = Site::start();
    let over = BootTime::now() + SHORT;
    for until in [over, over + LONG] {
        site.tell(Order::Until(until));
    }
    site.understood();
    until("the first moment is over", || BootTime::now() > over);
    // It has looked after the first moment, and let it pass.
    site.understood();
    assert_eq!(site.server.try_wait().unwrap(), None);
}

/// A watchdog with whom it knows; all of them are killed with the test.
struct Site {
    /// `cat`: what it reads is what it tells.
    agent: Child,
    server: Child,
    watchdog: Child,
    to_agent: ChildStdin,
    log: BufReader<ChildStdout>,
    asked: u32,
}

impl Site {
    fn start() -> Self {
        Self::over(Command::new("sleep").arg("1000"))
    }

    fn over(server: &mut Command) -> Self {
        let server = server.spawn().unwrap();
        let mut agent =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut watchdog = Command::new(env!("CARGO_BIN_EXE_cell"))
            .args(["watchdog", "--site", "c1@east"])
            .env("BULKHEAD_LOG", "info")
            .stdin(agent.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to_agent = agent.stdin.take().unwrap();
        let log = BufReader::new(watchdog.stdout.take().unwrap());
        let mut site = Self { agent, server, watchdog, to_agent, log, asked: 0 };
        site.tell(Order::Server(site.server.id()));
        site.understood();
        site
    }

    fn tell(&mut self, line: impl Display) {
        writeln!(self.to_agent, "{line}").unwrap();
    }

    /// Returns once the watchdog has read everything: it complains of what is no order.
    fn understood(&mut self) {
        self.asked += 1;
        let nonsense = format!("nonsense {}", self.asked);
        self.tell(&nonsense);
        let said = |line: &str| line.contains("order not understood") && line.contains(&nonsense);
        let mut line = String::new();
        while !said(&line) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the watchdog has ended");
        }
    }

    fn server_ended(&mut self) -> ExitStatus {
        wait(&mut self.server)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for process in [&mut self.agent, &mut self.server, &mut self.watchdog] {
            // One that has ended cannot be killed, and need not be.
            drop(process.kill());
            process.wait().unwrap();
        }
    }
}

fn wait(process: &mut Child) -> ExitStatus {
    let mut status = None;
    until("a process has ended", || {
        status = process.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let due = BootTime::now() + PATIENCE;
    while !is_so() {
        assert!(BootTime::now() < due, "waited too long until {what}");
        std::thread::sleep(POLL);
    }
}

fn signal(process: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn is_stopped(process: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
