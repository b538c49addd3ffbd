//! The tool's own test: whoever dies or stands still, at whatever step of the journal, the machine
//! is clean afterwards.
//!
//! A run is played by this very program, started again as [`the_run`]: it stops a process, freezes
//! another, holds a third back and makes a file, and stands where it is told to. The guard is the
//! real one.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command as Plain, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use topology::wire::fleet::Hold;

use super::*;
use crate::drill::StopCondition;
use crate::fault::hold;
use crate::freeze::{freeze_trees, stop_one};
use crate::journal::{self, Told, Watching};
use crate::process::is_stopped;
use crate::safeguard::Safeguard;
use crate::undo::Undo;
use crate::{recover, sweep};

/// Where a run can be made to stand: it says the name, and waits there for ever.
const STEPS: [&str; 11] = [
    "guarded",
    "stop intended",
    "stopped",
    "stop noted",
    "hold intended",
    "held",
    "frozen",
    "file intended",
    "file made",
    "one healed",
    "all healed",
];
const LONG: Duration = Duration::from_mins(10);
/// Short, so that the test is; long for a machine on which everything else is going on, too.
const QUIET: Duration = Duration::from_millis(1500);
/// What each run is told by its environment.
const FOLDER: &str = "CHAOS_TEST_FOLDER";
const STAND_AT: &str = "CHAOS_TEST_STAND_AT";
const VICTIMS: &str = "CHAOS_TEST_VICTIMS";

#[derive(Clone, Copy, Debug)]
enum Blow {
    KillRunner,
    StopRunner,
    KillGuard,
    StopGuard,
    KillBoth,
    StopBoth,
}

#[test]
fn whoever_dies_or_stands_still_at_whatever_step_the_machine_is_clean_afterwards() {
    use Blow::{KillBoth, KillGuard, KillRunner, StopBoth, StopGuard, StopRunner};
    let blows = [KillRunner, StopRunner, KillGuard, StopGuard, KillBoth, StopBoth];
    let cases = STEPS.iter().flat_map(|step| blows.map(|blow| (*step, blow)));
    // A run that is healing goes on without its guard; here it would stand.
    let is_told = |(step, blow): &(&str, Blow)| {
        !(step.ends_with("healed") && matches!(blow, KillGuard | StopGuard))
    };
    let cases: Vec<(&str, Blow)> = cases.filter(is_told).collect();
    let next = AtomicUsize::new(0);
    // Most of the time of each is spent waiting for a silence to be noticed.
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some((step, blow)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(step, *blow);
                }
            });
        }
    });
}

#[test]
fn a_fault_whose_time_is_over_is_taken_away_though_the_run_goes_on() {
    let case = Case::start("expire", "expired");
    case.wait_until(Case::is_clean);
    assert!(Process::from(case.told().runner.unwrap()).is_alive());
}

#[test]
fn a_pulled_lever_takes_away_everything_though_the_run_goes_on() {
    let case = Case::start("lever", "file made");
    block_on(crate::lever::pull(&case.run_dir, "a real incident")).file.unwrap();
    case.wait_until(Case::is_clean);
    assert!(Process::from(case.told().runner.unwrap()).is_alive());
}

#[test]
fn other_cells_that_are_not_answered_stop_the_drill_though_the_run_looks_away() {
    // Routers that answer for nobody.
    let routers = TcpListener::bind("127.0.0.1:0").unwrap();
    let edge = routers.local_addr().unwrap();
    thread::spawn(move || {
        for stream in routers.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            drop(stream.read(&mut asked));
            drop(
                stream.write_all(
                    b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                ),
            );
        }
    });
    let case = Case::start_on("watch", "watched", |run_dir| {
        let spec =
            include_str!("../../../regions.yaml").replace("127.0.0.1:8080", &edge.to_string());
        let own = std::process::id();
        let fleet = format!(r#"{{"supervisor":{own},"spec":"","processes":[]}}"#);
        fs::create_dir(run_dir.join("secrets")).unwrap();
        for (name, text) in [
            ("spec.yaml", spec.as_str()),
            ("fleet.json", &fleet),
            ("secrets/control-plane.token", "a token"),
            ("secrets/identity.key", "a key"),
        ] {
            fs::write(run_dir.join(name), text).unwrap();
        }
    });
    case.wait_until(|case| case.is_clean() && case.told().is_closed);
    assert_eq!(
        case.told().stopped.as_deref(),
        Some("the guard saw that more than 50 % of other cells' requests failed for 1.5s")
    );
}

#[track_caller]
fn check(step: &str, blow: Blow) {
    let name = format!("{blow:?} at {step}").replace(' ', "-");
    let case = Case::start(&name, step);
    let told = case.told();
    let (runner, guard) = (told.runner.unwrap().into(), told.guard.unwrap().into());
    let send = |process: Process, signal| process.signal(signal).unwrap();
    match blow {
        Blow::KillRunner => send(runner, Signal::KILL),
        Blow::StopRunner => send(runner, Signal::STOP),
        Blow::KillGuard => send(guard, Signal::KILL),
        Blow::StopGuard => send(guard, Signal::STOP),
        Blow::KillBoth => [guard, runner].into_iter().for_each(|p| send(p, Signal::KILL)),
        Blow::StopBoth => [guard, runner].into_iter().for_each(|p| send(p, Signal::STOP)),
    }
    if matches!(blow, Blow::KillBoth | Blow::StopBoth) {
        let recovered = block_on(recover::recover(&case.run_dir)).unwrap();
        assert_eq!(recovered.left, Vec::<String>::new(), "{name}");
    }
    case.wait_until(|case| case.is_clean() && case.told().is_closed);
    // Nobody is left who might wake up and go on.
    case.wait_until(|_| !runner.is_alive() && !guard.is_alive());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// A run directory of its own, the processes to be broken in it, and the run that breaks them.
struct Case {
    run_dir: PathBuf,
    victims: [Child; 2],
    runner: Child,
}

impl Case {
    fn start(name: &str, step: &str) -> Self {
        Self::start_on(name, step, |_| ())
    }

    /// Returns once the run stands where it is to, in a run directory that was prepared.
    fn start_on(name: &str, step: &str, prepare: impl FnOnce(&Path)) -> Self {
        let name = format!("chaos-guard-{name}-{}", std::process::id());
        let run_dir = std::env::temp_dir().join(name);
        fs::create_dir_all(run_dir.join("holds")).unwrap();
        prepare(&run_dir);
        let sleep = || Plain::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        let victims = [sleep(), sleep()];
        let pids = victims.each_ref().map(|victim| victim.id().to_string()).join(" ");
        let mut runner = Plain::new(std::env::current_exe().unwrap())
            .args(["--exact", "guard::tests::the_run", "--nocapture", "--ignored"])
            .envs([(STAND_AT, step), (VICTIMS, &pids)])
            .env(FOLDER, run_dir.join("drills/run-1"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(runner.stdout.take().unwrap());
        let mut lines = said.lines().map_while(Result::ok);
        if !lines.any(|line| line.ends_with("standing")) {
            let mut why = String::new();
            runner.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("the run did not come to {step}: {why}");
        }
        Self { run_dir, victims, runner }
    }

    fn told(&self) -> Told {
        journal::of(&self.run_dir.join("drills/run-1")).unwrap().unwrap()
    }

    /// Nobody stands still, nothing is held back, and nothing that was made is there.
    fn is_clean(&self) -> bool {
        let processes = self.victims.iter().filter_map(|v| Process::with_pid(v.id()));
        let in_cgroup = |process: Process| {
            let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid));
            groups.unwrap_or_default().contains(crate::undo::PREFIX)
        };
        let all: Vec<Process> = processes.collect();
        all.len() == 2
            && all.iter().all(|process| !is_stopped(*process) && !in_cgroup(*process))
            && !self.run_dir.join("made").exists()
            && fs::read_dir(self.run_dir.join("holds")).unwrap().count() == 0
    }

    /// Ends with the test's own time limit, not with one of its own.
    fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            thread::yield_now();
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        for child in self.victims.iter_mut().chain([&mut self.runner]) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // A cgroup without anybody in it harms nobody, but is not left either.
        drop(sweep::clean(&self.run_dir, None));
        fs::remove_dir_all(&self.run_dir).unwrap();
    }
}

/// Not a test: the run that the others break.
#[test]
#[ignore = "started by the other tests"]
fn the_run() {
    let Ok(folder) = std::env::var(FOLDER).map(PathBuf::from) else { return };
    block_on(async {
        let program = std::env::current_exe().unwrap();
        let program = program.parent().unwrap().with_file_name("chaos");
        let guard = command(Some(&program), &folder, QUIET);
        let (safeguard, mut guard) =
            Safeguard::start(&folder, "run-1", guard, QUIET).await.unwrap();
        tokio::select! {
            _lost = guard.keep() => {}
            () = break_things(&folder, &safeguard) => {}
        }
        safeguard.heal(|| stand_at("one healed")).unwrap();
        stand_at("all healed");
        safeguard.close().unwrap();
        guard.let_go().await.unwrap();
    });
}

async fn break_things(folder: &Path, safeguard: &Safeguard) {
    let at = |step: &'static str| async move {
        if is_here(step) {
            say_so();
            std::future::pending::<()>().await;
        }
    };
    let pids = std::env::var(VICTIMS).unwrap();
    let victims: Vec<Process> =
        pids.split(' ').map(|pid| Process::with_pid(pid.parse().unwrap()).unwrap()).collect();
    at("guarded").await;
    if is_here("expired") {
        let ttl = Duration::from_millis(300);
        stop_one(victims[0], safeguard, ttl, LONG).await.unwrap();
        at("expired").await;
    }
    if is_here("watched") {
        let conditions = vec![StopCondition { above: 0.5, over: Duration::from_millis(1500) }];
        let users = vec![("u1".to_owned(), "c1".to_owned()), ("u2".to_owned(), "c2".to_owned())];
        safeguard.watching(Watching { users, conditions }).unwrap();
        safeguard.injecting("a stop of c1", ["c1".to_owned()].into()).unwrap();
        stop_one(victims[0], safeguard, LONG, LONG).await.unwrap();
        at("watched").await;
    }
    if is_here("stop intended") {
        safeguard.intend(Undo::GoOn(victims[0].into()), LONG).unwrap();
        at("stop intended").await;
    }
    stop_one(victims[0], safeguard, LONG, LONG).await.unwrap();
    at("stopped").await;
    safeguard.applied().unwrap();
    at("stop noted").await;
    let run_dir = folder.parent().unwrap().parent().unwrap();
    let path = run_dir.join("holds/c1@east.json");
    let reason = hold::reason("run-1");
    safeguard.intend(Undo::Hold { path: path.clone(), reason: reason.clone() }, LONG).unwrap();
    at("hold intended").await;
    fs::write(path, serde_json::to_vec(&Hold { until: u64::MAX, reason }).unwrap()).unwrap();
    at("held").await;
    freeze_trees(&victims[1..], safeguard, LONG, LONG).await.unwrap();
    at("frozen").await;
    let path = run_dir.join("made");
    let reason = hold::reason("run-1");
    safeguard.intend(Undo::Hold { path: path.clone(), reason }, LONG).unwrap();
    at("file intended").await;
    fs::write(path, "").unwrap();
    at("file made").await;
}

fn is_here(step: &str) -> bool {
    std::env::var(STAND_AT).is_ok_and(|here| here == step)
}

/// Healing is not in the middle of anything that could be waited for: the whole program stands.
fn stand_at(step: &str) {
    if is_here(step) {
        say_so();
        loop {
            thread::park();
        }
    }
}

#[expect(clippy::print_stdout, reason = "heard by the test that has started it")]
fn say_so() {
    println!("standing");
}
