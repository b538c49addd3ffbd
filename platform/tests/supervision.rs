//! The supervisor with programs that only sleep in the place of real ones: what is started, started
//! again, held, and left behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "supervision/regions.rs"]
mod regions;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime::clock::BootTime;
use rustix::process::{Pid, Signal, kill_process};
use topology::wire::fleet::{Fleet, FleetProcess, Hold};

const SPEC: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.16NET.0.0/16}
  - {id: north, name: 华北, network: 127.17NET.0.0/16}
  - {id: south, name: 华南, network: 127.18NET.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '127.19NET.0.1:8080', admin: '127.19NET.0.1:9080', routers: 1}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";
/// Far more than anything awaited here takes.
const PATIENCE: Duration = Duration::from_secs(30);
static FORK: Mutex<()> = Mutex::new(());
/// Where the supervisor's errors go.
const SAID: &str = "supervisor.log";

#[test]
fn a_killed_process_is_started_again_unless_it_is_held() {
    let mut platform = Platform::start("restart", "4");
    let router = platform.until("router-1 runs", |fleet| running(fleet, "router-1"));
    kill(pid(&router));
    let again = platform.until("router-1 runs again", |fleet| {
        running(fleet, "router-1").filter(|process| process.restarts == 1)
    });
    assert_ne!(again.pid, router.pid);

    let site = platform.until("c1@east runs", |fleet| running(fleet, "c1@east"));
    platform.hold("c1@east", BootTime::now() + Duration::from_hours(1));
    kill(pid(&site));
    platform.until("c1@east is down", |fleet| {
        find(fleet, "c1@east").filter(|process| process.pid.is_none())
    });
    // A process that is not held and was killed later is back before the held one.
    kill(pid(&again));
    let fleet = platform.until("router-1 runs a third time", |fleet| {
        running(fleet, "router-1").filter(|process| process.restarts == 2).map(|_| fleet.clone())
    });
    assert_eq!(find(&fleet, "c1@east").and_then(|process| process.pid), None);

    platform.hold("c1@east", BootTime::now());
    let back = platform.until("c1@east runs again", |fleet| running(fleet, "c1@east"));
    assert_eq!(back.restarts, 1);
}

#[test]
fn a_process_that_cannot_be_started_takes_none_of_the_others_along() {
    let mut platform = Platform::start("unstartable", "9");
    platform.all_running();
    let router = platform.until("router-1 runs", |fleet| running(fleet, "router-1"));
    // Nothing can be appended to a folder.
    let log = platform.folder.join("run/logs/router-1.log");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    kill(pid(&router));
    let said = platform.folder.join(SAID);
    let supervisor = &mut platform.supervisor;
    wait("the start has failed", || {
        assert_eq!(supervisor.try_wait().expect("the supervisor is ours"), None);
        fs::read_to_string(&said).unwrap().contains("not started").then_some(())
    });
    fs::remove_dir(&log).unwrap();
    platform.all_running();
}

#[test]
fn a_router_is_replaced_by_a_successor_and_not_by_one_that_ends_first() {
    let mut platform = Platform::start("upgrade", "3");
    platform.all_running();
    let old = platform.until("router-1 runs", |fleet| running(fleet, "router-1"));
    signal(platform.supervisor.id(), Signal::USR2);
    let failed = platform.until("a successor runs", |fleet| {
        running(fleet, "router-1").filter(|process| process.pid != old.pid)
    });
    kill(pid(&failed));
    platform.until("the old one goes on", |fleet| {
        running(fleet, "router-1").filter(|process| process.pid == old.pid)
    });

    signal(platform.supervisor.id(), Signal::USR2);
    let new = platform.until("another successor runs", |fleet| {
        running(fleet, "router-1").filter(|process| process.pid != old.pid)
    });
    kill(pid(&old));
    // The next upgrade begins when the old process is gone, and starts the third successor.
    signal(platform.supervisor.id(), Signal::USR2);
    let next = platform.until("the next successor runs", |fleet| {
        running(fleet, "router-1").filter(|process| process.pid != new.pid)
    });
    assert_eq!(next.restarts, 3, "no process was started but the three successors");
}

#[test]
fn down_stops_everything_and_nothing_is_left() {
    let mut platform = Platform::start("down", "5");
    let pids = platform.all_running();
    let outcome = platform.run(&["down"]);
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(said, "stopped; nothing is left running\n");
    assert_eq!(alive(&pids), Vec::<u32>::new());
}

#[test]
fn a_supervisor_that_is_killed_takes_its_fleet_along() {
    let mut platform = Platform::start("killed", "6");
    let pids = platform.all_running();
    platform.supervisor.kill().expect("the supervisor runs");
    platform.supervisor.wait().expect("the supervisor is ours");
    wait("the fleet is gone", || alive(&pids).is_empty().then_some(()));
}

#[test]
fn a_second_up_in_the_same_place_is_refused_and_names_the_first() {
    let mut platform = Platform::start("second", "7");
    platform.all_running();
    let spec = platform.folder.join("regions.yaml").display().to_string();
    let outcome = platform.run(&["up", "--spec", &spec]);
    let said = String::from_utf8_lossy(&outcome.stderr);
    let first = format!("a platform runs there already, process {}", platform.supervisor.id());
    assert!(said.contains(&first), "{said}");
    assert_eq!(outcome.status.code(), Some(1));
}

#[test]
fn data_of_other_cells_is_refused_and_kept() {
    let mut platform = Platform::start("other", "8");
    platform.all_running();
    platform.run(&["down"]);
    let spec = platform.folder.join("regions.yaml");
    let other = fs::read_to_string(&spec).unwrap().replace("id: c1", "id: c9");
    fs::write(&spec, other).unwrap();
    let spec = spec.display().to_string();
    let outcome = platform.run(&["up", "--spec", &spec]);
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(said.contains("cell c1 is gone\n  cell c9 is new\nstart with --fresh"), "{said}");
    assert!(platform.folder.join("run/secrets/c1/service.password").exists());
}

/// A supervisor over programs that sleep; stopped with the test.
struct Platform {
    folder: PathBuf,
    supervisor: Child,
}

impl Platform {
    fn start(name: &str, network: &str) -> Self {
        Self::start_as(name, "#!/bin/sh\nexec sleep 1000\n", |folder| {
            let spec = folder.join("regions.yaml");
            fs::write(&spec, SPEC.replace("NET", network)).unwrap();
            command(folder, &["up", "--spec", &spec.display().to_string()])
        })
    }

    /// Starts one in a folder, with this in the place of each program.
    fn start_as(name: &str, script: &str, up: impl FnOnce(&Path) -> Command) -> Self {
        let folder = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
        let programs = folder.join("bin");
        // A process forked while a program is being written would keep it from being executed.
        let _writing = FORK.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&programs).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_platform"), programs.join("platform")).unwrap();
        for program in ["etcd", "control-plane", "cell", "router"] {
            let path = programs.join(program);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        let supervisor = up(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join(SAID)).unwrap())
            .spawn()
            .unwrap();
        Self { folder, supervisor }
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(&self.folder, arguments);
        let child = {
            let _forking = FORK.lock().unwrap_or_else(PoisonError::into_inner);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        };
        child.and_then(Child::wait_with_output).expect("the program was built for this test")
    }

    /// Waits until the fleet is as it should be, and returns what is found in it.
    fn until<T>(&mut self, what: &str, found: impl Fn(&Fleet) -> Option<T>) -> T {
        let path = self.folder.join("run/fleet.json");
        wait(what, || {
            if let Some(exited) = self.supervisor.try_wait().expect("the supervisor is ours") {
                let said = fs::read_to_string(self.folder.join(SAID)).unwrap_or_default();
                panic!("the supervisor ended with {exited} while waiting until {what}:\n{said}");
            }
            let fleet: Fleet = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            found(&fleet)
        })
    }

    /// Waits until everything runs: three of etcd, three control planes, three sites and a router.
    fn all_running(&mut self) -> Vec<u32> {
        self.until("everything runs", |fleet| {
            let pids: Option<Vec<u32>> =
                fleet.processes.iter().map(|process| process.pid).collect();
            pids.filter(|pids| pids.len() == 10)
        })
    }

    fn hold(&self, process: &str, until: BootTime) {
        let hold = Hold { until: until.as_nanos(), reason: "test".to_owned() };
        let path = self.folder.join(format!("run/holds/{process}.json"));
        runtime::file::replace(&path, &serde_json::to_vec(&hold).unwrap(), 0o644).unwrap();
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if self.supervisor.try_wait().is_ok_and(|exited| exited.is_none()) {
            kill(self.supervisor.id());
        }
        self.supervisor.wait().expect("the supervisor is ours");
        fs::remove_dir_all(&self.folder).expect("the temporary folder can be deleted");
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(folder.join("bin/platform"));
    command.args(arguments).env("BULKHEAD_RUN_DIR", folder.join("run")).env("PATH", path);
    command
}

fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = BootTime::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(BootTime::now() < until, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn find(fleet: &Fleet, name: &str) -> Option<FleetProcess> {
    fleet.processes.iter().find(|process| process.name == name).cloned()
}

fn running(fleet: &Fleet, name: &str) -> Option<FleetProcess> {
    find(fleet, name).filter(|process| process.pid.is_some())
}

fn pid(process: &FleetProcess) -> u32 {
    process.pid.expect("the process runs")
}

fn alive(pids: &[u32]) -> Vec<u32> {
    pids.iter().copied().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
}

fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}
