//! On an emulated WAN each region is among its own processes only.

use std::collections::BTreeSet;

use runtime::process::{Process, all};

use super::*;

const WAN: &str = "\
wan:
  edge: 127.100.0.0/16
  lines:
    - {between: [east, north], delay: 1ms, jitter: 0ms}
    - {between: [east, south], delay: 1ms, jitter: 0ms}
    - {between: [north, south], delay: 1ms, jitter: 0ms}
    - {between: [edge, east], delay: 1ms, jitter: 0ms}
    - {between: [edge, north], delay: 1ms, jitter: 0ms}
    - {between: [edge, south], delay: 1ms, jitter: 0ms}
";
/// Leaves its group, its session and its parent, and nothing tells it of anybody's death.
const WITH_ORPHAN: &str = "#!/bin/sh\n(setsid sleep 1000 &)\nexec sleep 1000\n";
/// In each region etcd, a control plane and a site, each with an orphan, and the init.
const LIVE_IN_A_REGION: usize = 7;

#[test]
fn a_region_sees_and_signals_only_itself_and_dies_with_its_init() {
    let Some(mut platform) = start("region") else { return };
    let fleet = platform.regions_running();
    let east = lives_in(&fleet, "east");
    assert!(east.is_disjoint(&lives_in(&fleet, "north")));
    let seen = inside(&fleet, "east", "set -- /proc/[0-9]*; echo $#");
    // And the shell that looks.
    assert_eq!(seen.trim(), (LIVE_IN_A_REGION + 1).to_string());
    let stranger = pid(&find(&fleet, "c1@north").unwrap());
    inside(&fleet, "east", &format!("kill -KILL {stranger}; kill -KILL 1; true"));
    assert_eq!(platform.regions_running(), fleet);

    kill(fleet.inits["east"].pid);
    wait("all of east is gone", || {
        let left = east.iter().any(is_there);
        (!left).then_some(())
    });
    let again = platform.east_again();
    assert_ne!(again.inits["east"], fleet.inits["east"]);
    for name in ["etcd@north", "c1@south", "router-1", "wan"] {
        assert_eq!(find(&again, name), find(&fleet, name));
    }

    let fleet = platform.regions_running();
    let living: Vec<Process> = fleet.inits.keys().flat_map(|end| lives_in(&fleet, end)).collect();
    let outcome = platform.run(&["down"]);
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(said, "stopped; nothing is left running\n");
    assert!(!living.iter().any(is_there));
}

#[test]
fn a_region_whose_dead_are_not_all_waited_for_is_down_and_the_supervisor_says_why() {
    let Some(mut platform) = start("unburied") else { return };
    let fleet = platform.regions_running();
    // As one whose shell there was put aside with Ctrl-Z.
    let mut visitor = runtime::child::tied("KILL", None);
    visitor.args(["nsenter", "--target", &fleet.inits["east"].pid.to_string(), "--pid", "--"]);
    let mut visitor = visitor.args(["sleep", "1000"]).spawn().unwrap();
    let outside = Process::with_pid(visitor.id()).unwrap();
    wait("a visitor is in east", || {
        outside.descendants().iter().any(|it| has_begun(*it)).then_some(())
    });
    signal(visitor.id(), Signal::STOP);
    let stat = format!("/proc/{}/stat", visitor.id());
    wait("nobody waits for it", || {
        fs::read_to_string(&stat).unwrap().contains(") T ").then_some(())
    });

    kill(fleet.inits["east"].pid);
    let said = platform.folder.join(SAID);
    let why =
        "find the init of east: it is dead, and gone once every zombie there has been waited for";
    wait("the supervisor says why", || {
        fs::read_to_string(&said).unwrap().contains(why).then_some(())
    });
    signal(visitor.id(), Signal::CONT);
    visitor.wait().unwrap();
    platform.east_again();
}

#[test]
fn a_supervisor_that_is_killed_takes_along_even_who_left_its_group() {
    let Some(mut platform) = start("orphans") else { return };
    let fleet = platform.regions_running();
    let living: Vec<Process> = fleet.inits.keys().flat_map(|end| lives_in(&fleet, end)).collect();
    platform.supervisor.kill().expect("the supervisor runs");
    platform.supervisor.wait().expect("the supervisor is ours");
    wait("nobody is left", || {
        let left = living.iter().any(is_there);
        (!left).then_some(())
    });
}

/// Starts a platform on a machine of its own, as far as networks go.
fn start(name: &str) -> Option<Platform> {
    let missing = runtime::emulation::missing();
    if !missing.is_empty() {
        skip(&missing.join("; "));
        return None;
    }
    Some(Platform::start_as(name, WITH_ORPHAN, |folder| {
        let spec = folder.join("regions.yaml");
        fs::write(&spec, SPEC.replace("NET", "2") + WAN).unwrap();
        let up = command(folder, &[]);
        let program = up.get_program().to_owned();
        let mut apart = Command::new("unshare");
        apart.args(["--net", "sh", "-c", "ip link set dev lo up && exec \"$@\"", "sh"]);
        apart.arg(program).args(["up", "--wan", "--spec"]).arg(spec);
        apart.envs(up.get_envs().filter_map(|(name, value)| Some((name, value?))));
        apart
    }))
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn skip(why: &str) {
    eprintln!("skipped: no WAN can be emulated here: {why}");
}

impl Platform {
    /// Waits until everybody is there, orphans too.
    fn regions_running(&mut self) -> Fleet {
        self.until("every region is whole", |fleet| {
            let is_running = |process: &FleetProcess| process.pid.is_some();
            let is_whole = |region| {
                fleet.inits.contains_key(region)
                    && lives_in(fleet, region).len() == LIVE_IN_A_REGION
                    && lives_in(fleet, region).iter().all(|process| has_begun(*process))
            };
            (fleet.processes.iter().all(is_running)
                && ["east", "north", "south"].into_iter().all(is_whole))
            .then(|| fleet.clone())
        })
    }

    /// Waits until all of a region that was killed has been started again.
    fn east_again(&mut self) -> Fleet {
        self.until("east is back", |fleet| {
            let was_started_again =
                |name| running(fleet, name).is_some_and(|process| process.restarts > 0);
            ["etcd@east", "control-plane@east", "c1@east"]
                .into_iter()
                .all(was_started_again)
                .then(|| fleet.clone())
        })
    }
}

/// Whether it has become what it was started for.
fn has_begun(process: Process) -> bool {
    let arguments = process.arguments();
    let is = |at: usize, word| arguments.get(at).is_some_and(|argument| argument == word);
    is(0, "sleep") || is(1, "init")
}

/// Returns who lives in the process namespace of an end.
fn lives_in(fleet: &Fleet, end: &str) -> BTreeSet<Process> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(fleet.inits[end].pid);
    let processes = all().into_iter().map(|living| living.process);
    processes.filter(|process| own.is_some() && namespace(process.pid) == own).collect()
}

/// Whether it does anything: an init has to wait for whoever waits for those who lived with it.
fn is_there(process: &Process) -> bool {
    process.is_alive() && !process.is_ending()
}

/// Does something as one who lives there.
fn inside(fleet: &Fleet, end: &str, script: &str) -> String {
    let mut command = Command::new("nsenter");
    command.args(["--target", &fleet.inits[end].pid.to_string(), "--pid", "--mount", "--"]);
    command.args(["sh", "-c", script]);
    runtime::program::run(command, "").unwrap()
}
