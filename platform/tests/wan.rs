//! The emulated WAN alone, between network namespaces with nothing in them but this test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use runtime::clock::BootTime;
use topology::wire::wan::{Answer, Cut, Policy, Request, Way};

const SPEC: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.1.0.0/16}
  - {id: north, name: 华北, network: 127.2.0.0/16}
  - {id: south, name: 华南, network: 127.3.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 1}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
wan:
  edge: 127.100.0.0/16
  lines:
    - {between: [east, north], delay: 60ms, jitter: 5ms}
    - {between: [east, south], delay: 1ms, jitter: 0ms}
    - {between: [north, south], delay: 1ms, jitter: 0ms}
    - {between: [edge, east], delay: 1ms, jitter: 0ms}
    - {between: [edge, north], delay: 1ms, jitter: 0ms}
    - {between: [edge, south], delay: 1ms, jitter: 0ms}
emulated: true
";
const ENDS: [(&str, &str); 4] =
    [("edge", "127.100"), ("east", "127.1"), ("north", "127.2"), ("south", "127.3")];
/// Far more than anything awaited here takes: TCP asks again after 1, 3 and 7 seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// What nobody answers is given up after this.
const SILENCE: Duration = Duration::from_millis(500);

#[test]
fn packets_take_their_time_and_policies_hold_until_theirs_is_over() {
    if !is_possible() {
        return;
    }
    let world = World::start("policies");
    let east = world.listen("east", "127.1.1.1:8000".parse().unwrap());
    // There and back, with the least that jitter leaves.
    assert!(world.connect("north", east, PATIENCE).unwrap() >= Duration::from_millis(110));
    world.connect("edge", east, PATIENCE).unwrap();
    world.connect("south", east, PATIENCE).unwrap();

    // Cut off from one end only, one way is enough; until the policy's own time is over.
    world.set(Policy { cut: Some(Cut::All), ..policy("cut", "east", "north", 2_000) });
    assert_eq!(world.connect("north", east, SILENCE), None);
    world.connect("south", east, PATIENCE).unwrap();
    world.connect("north", east, PATIENCE).unwrap();
    assert_eq!(world.ask(&Request::List {}).policies, []);

    // Who is connected stays so, when connecting is cut.
    let mut open = world.inside("north", move || TcpStream::connect(east).unwrap());
    world.set(Policy { cut: Some(Cut::Connects), ..policy("syn", "north", "east", 60_000) });
    assert_eq!(world.connect("north", east, SILENCE), None);
    echo(&mut open);
    let syn = world.ask(&Request::List {}).policies.remove(0);
    assert!(syn.dropped >= 1 && syn.packets > syn.dropped, "{syn:?}");
    world.ask(&Request::Lift { id: "syn".to_owned() });
    world.connect("north", east, PATIENCE).unwrap();

    let refused = world.ask(&Request::Set(policy("idle", "east", "west", 1_000_000)));
    assert_eq!(refused.problems.len(), 3, "{refused:?}");
}

#[test]
fn connections_are_the_same_on_every_machine_and_those_of_the_machine_stay_as_they_are() {
    if !is_possible() {
        return;
    }
    let receive = || {
        let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // Of iproute2, as `ip`; the second line of each connection begins with it.
    let congestion_control = || {
        let told = Command::new("ss").arg("-Htin").output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        let second = told.lines().filter(|line| line.starts_with(char::is_whitespace));
        second.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut world = World::start("settings");
    let address = "127.1.1.1:8000".parse::<SocketAddr>().unwrap();
    let listener = world.inside("east", move || TcpListener::bind(address).unwrap());
    let asking = world.inside("north", move || TcpStream::connect(address).unwrap());
    let answering = listener.accept().unwrap();
    for end in ["north", "east"] {
        assert_eq!(world.inside(end, congestion_control), ["cubic"], "{end}");
    }
    drop((asking, answering));

    world.namespaces.push(("fresh", namespace("127.9")));
    let machine = File::open(format!("/proc/{}/ns/net", world.wan.id())).unwrap();
    world.namespaces.push(("machine", machine));
    assert_eq!(world.inside("east", receive), "4096 2097152 6291456");
    assert_eq!(world.inside("machine", receive), world.inside("fresh", receive));
}

#[test]
fn nothing_is_left_of_a_wan_that_is_killed() {
    if !is_possible() {
        return;
    }
    let mut world = World::start("killed");
    let east = world.listen("east", "127.1.1.1:8000".parse().unwrap());
    world.connect("south", east, PATIENCE).unwrap();
    world.wan.kill().unwrap();
    world.wan.wait().unwrap();
    let devices =
        world.inside("south", || fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    assert!(!devices.contains("wan"), "{devices}");
}

struct World {
    folder: PathBuf,
    /// They are there for as long as they are held.
    namespaces: Vec<(&'static str, File)>,
    wan: Child,
}

impl World {
    /// Starts a WAN; what is the machine itself for it is a namespace of its own, too.
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wan-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("spec.yaml"), SPEC).unwrap();
        let namespaces: Vec<_> = ENDS.map(|(end, network)| (end, namespace(network))).into();
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set dev lo up && exec \"$@\"", "sh"]);
        command.args([env!("CARGO_BIN_EXE_platform"), "wan", "--run-dir"]).arg(&folder);
        for (end, file) in &namespaces {
            let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
            command.arg(format!("--namespace={end}={path}"));
        }
        let log = File::create(folder.join("wan.log")).unwrap();
        let wan = command.stdout(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        let mut world = Self { namespaces, wan: wan.spawn().unwrap(), folder };
        let until = BootTime::now() + PATIENCE;
        while UnixStream::connect(world.folder.join("wan.sock")).is_err() {
            let said = || fs::read_to_string(world.folder.join("wan.log")).unwrap_or_default();
            assert!(world.wan.try_wait().unwrap().is_none(), "the WAN ended:\n{}", said());
            assert!(BootTime::now() < until, "waited too long for the WAN:\n{}", said());
            thread::sleep(Duration::from_millis(10));
        }
        world
    }

    /// Does something in a thread that is in the network of an end.
    fn inside<T: Send + 'static>(&self, end: &str, what: impl FnOnce() -> T + Send + 'static) -> T {
        let (_, file) = self.namespaces.iter().find(|(named, _)| *named == end).unwrap();
        let file = file.try_clone().unwrap();
        let there = move || {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            what()
        };
        thread::spawn(there).join().unwrap()
    }

    /// Answers every connection with what it is sent.
    fn listen(&self, end: &str, address: SocketAddr) -> SocketAddr {
        let listener = self.inside(end, move || TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut bytes = [0; 5];
                    while stream.read_exact(&mut bytes).is_ok() {
                        stream.write_all(&bytes).unwrap();
                    }
                });
            }
        });
        address
    }

    /// Returns how long it took to connect and no longer; `None` if nobody answered in time.
    fn connect(&self, end: &str, to: SocketAddr, within: Duration) -> Option<Duration> {
        self.inside(end, move || {
            let begun = BootTime::now();
            let mut stream = TcpStream::connect_timeout(&to, within).ok()?;
            let took = BootTime::now().since(begun);
            echo(&mut stream);
            Some(took)
        })
    }

    fn set(&self, policy: Policy) {
        assert_eq!(self.ask(&Request::Set(policy)).problems, [""; 0]);
    }

    fn ask(&self, request: &Request) -> Answer {
        let mut stream = UnixStream::connect(self.folder.join("wan.sock")).unwrap();
        stream.write_all(&serde_json::to_vec(request).unwrap()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        serde_json::from_reader(stream).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.wan.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.wan.kill().expect("the WAN is ours");
        }
        self.wan.wait().expect("the WAN is ours");
        fs::remove_dir_all(&self.folder).expect("the temporary folder can be deleted");
    }
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn is_possible() -> bool {
    let missing = runtime::emulation::missing();
    if !missing.is_empty() {
        eprintln!("skipped: no WAN can be emulated here: {}", missing.join("; "));
    }
    missing.is_empty()
}

fn namespace(network: &'static str) -> File {
    let make = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let lines = format!(
            "link set dev lo up\naddress delete 127.0.0.1/8 dev lo\n\
             address add 127.0.0.1/16 dev lo\naddress add {network}.0.1/16 dev lo\n"
        );
        let mut ip =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success());
        File::open("/proc/thread-self/ns/net").unwrap()
    };
    thread::spawn(make).join().unwrap()
}

fn policy(id: &str, from: &str, to: &str, ttl_ms: u64) -> Policy {
    let way = Way { from: Some(from.to_owned()), to: Some(to.to_owned()) };
    Policy { id: id.to_owned(), ways: vec![way], ttl_ms, ..Policy::default() }
}

#[track_caller]
fn echo(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
}
