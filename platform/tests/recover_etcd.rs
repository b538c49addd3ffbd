//! Three real members of etcd under a supervisor whose other programs only sleep: two are lost, one
//! goes on, and they rejoin.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use runtime::Tasks;
use runtime::clock::BootTime;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use topology::wire::fleet::{Fleet, Hold};

const SPEC: &str = "\
version: 1
regions:
  - {id: east, name: East, network: 127.251.0.0/16}
  - {id: north, name: North, network: 127.252.0.0/16}
  - {id: south, name: South, network: 127.253.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '127.250.0.1:8080', admin: '127.250.0.1:9080', routers: 1}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";
const CONTROL_PLANE: &str = "127.251.0.1:7000";
const EDGE: &str = "127.250.0.1:8080";
const CELLS: &str = r#"{"data": [{"id": "c1", "epoch": 1, "phase": "steady", "active": "east",
    "redundant": true, "reason": ""}]}"#;
/// Far more than anything awaited here takes.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn one_member_goes_on_and_the_lost_ones_rejoin() {
    let platform = Platform::start();
    // Its addresses are checked before anything is started.
    platform.started();
    let mut tasks = Tasks::default();
    tasks.start("stand in for a control plane", |_| answer(CONTROL_PLANE));
    tasks.start("stand in for a router", |_| answer(EDGE));
    // Nobody waits for the stand-ins.
    Box::pin(tasks.run(lose_and_rejoin(&platform), Duration::ZERO)).await.unwrap();
}

async fn lose_and_rejoin(platform: &Platform) {
    let all = connect(&["east", "north", "south"]);
    until("etcd takes writes", async || all.put("/test/before", "1").await.is_ok()).await;

    // As long as somebody else answers, nobody goes on alone.
    let said = platform.refused(&["recover-etcd", "--region", "south", "--yes"], 1);
    assert!(said.contains("etcd@east answers"), "{said}");

    platform.lose("east");
    platform.lose("north");
    let south = connect(&["south"]);
    until("the majority is lost", async || south.put("/test/lost", "1").await.is_err()).await;

    let said = platform.refused(&["recover-etcd", "--region", "south"], 2);
    assert!(said.contains("Nothing was changed; do it with --yes"), "{said}");
    assert!(south.put("/test/lost", "1").await.is_err(), "it was done unasked");

    platform.done(&["recover-etcd", "--region", "south", "--yes"]);
    until("the one that is left takes writes", async || {
        south.put("/test/alone", "1").await.is_ok()
    })
    .await;
    let found = south.read(&["/test/before"]).await.unwrap();
    assert_eq!(found.len(), 1, "what was written before is gone");
    for lost in ["east", "north"] {
        let hold: Hold = serde_json::from_slice(&fs::read(platform.hold(lost)).unwrap()).unwrap();
        assert_eq!(hold.until, u64::MAX, "{lost} may come back with what it had");
    }

    for lost in ["north", "east"] {
        platform.done(&["recover-etcd", "--rejoin", lost]);
        let back = connect(&[lost]);
        until("the one that rejoined knows what was written without it", async || {
            back.read(&["/test/alone"]).await.is_ok_and(|found| found.len() == 1)
        })
        .await;
        assert!(!platform.hold(lost).exists(), "{lost} is still held");
    }
    // A majority of three again: the one that went on alone may be lost now.
    platform.lose("south");
    let others = connect(&["east", "north"]);
    until("the others go on", async || others.put("/test/after", "1").await.is_ok()).await;
}

/// Says to everybody that all is well, so that the platform counts as started.
async fn answer(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 4096];
        // Whoever asks asks once, in one packet.
        if stream.read(&mut request).await.is_ok() {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{CELLS}",
                CELLS.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    }
}

/// A supervisor over real members of etcd and programs that sleep; stopped with the test.
struct Platform {
    folder: PathBuf,
    supervisor: Child,
}

impl Platform {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("bulkhead-recover-{}", std::process::id()));
        let programs = folder.join("bin");
        fs::create_dir_all(&programs).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_platform"), programs.join("platform")).unwrap();
        for program in ["control-plane", "cell", "router"] {
            let path = programs.join(program);
            fs::write(&path, "#!/bin/sh\nexec sleep 1000\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        let spec = folder.join("regions.yaml");
        fs::write(&spec, SPEC).unwrap();
        let supervisor = command(&folder, &["up", "--spec", &spec.display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, supervisor }
    }

    /// Waits until the supervisor has found every address free.
    fn started(&self) {
        let until = BootTime::now() + PATIENCE;
        while !self.folder.join("run/fleet.json").exists() {
            assert!(BootTime::now() < until, "the supervisor does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills a member and keeps it down, as the loss of its region does.
    fn lose(&self, region: &str) {
        let hold = Hold {
            until: (BootTime::now() + Duration::from_hours(1)).as_nanos(),
            reason: "test".to_owned(),
        };
        let text = serde_json::to_vec(&hold).unwrap();
        runtime::file::replace(&self.hold(region), &text, 0o644).unwrap();
        let fleet = fs::read(self.folder.join("run/fleet.json")).unwrap();
        let fleet: Fleet = serde_json::from_slice(&fleet).unwrap();
        let name = format!("etcd@{region}");
        let member = fleet.processes.iter().find(|process| process.name == name).unwrap();
        let pid = Pid::from_raw(i32::try_from(member.pid.unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }

    fn hold(&self, region: &str) -> PathBuf {
        self.folder.join(format!("run/holds/etcd@{region}.json"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(&self.folder, arguments).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    /// Returns what is said by a command that changes nothing.
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.supervisor.id()).unwrap()).unwrap();
        if self.supervisor.try_wait().is_ok_and(|exited| exited.is_none()) {
            kill_process(pid, Signal::TERM).unwrap();
        }
        self.supervisor.wait().expect("the supervisor is ours");
        // A failed test may leave more than can be deleted at once.
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn connect(regions: &[&str]) -> client::Etcd {
    let spec = topology::Spec::parse(SPEC).unwrap();
    let endpoint = |region: &&str| {
        let port = topology::address::Port::EtcdClient;
        format!("http://{}", spec.region_address(&region.parse().unwrap(), port).unwrap())
    };
    client::Etcd::connect(regions.iter().map(endpoint).collect())
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(folder.join("bin/platform"));
    command.args(arguments).env("BULKHEAD_RUN_DIR", folder.join("run")).env("PATH", path);
    command
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = BootTime::now() + PATIENCE;
    while !is_so().await {
        assert!(BootTime::now() < until, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
