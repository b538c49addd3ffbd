//! Starts and ends `chaos suite run`, which follows a suite of drills: a process of its own, because it
//! breaks this one.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, ensure};
use runtime::process::Process;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use topology::RegionId;
use topology::wire::fleet::Fleet;

/// A log that is longer is put aside before it is written on: some hundred drills.
const LOG_MAX: u64 = 4 * 1024 * 1024;
/// Where a process is.
const NETWORK: &str = "ns/net";

/// What is followed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsals {
    /// A suite's name or file.
    pub suite: String,
    /// The program `chaos`.
    pub program: PathBuf,
    pub run_dir: PathBuf,
}

/// A suite that is followed.
pub struct Followed {
    child: Child,
    process: Option<Process>,
}

impl Rehearsals {
    /// Finds the program beside this one.
    pub fn of(suite: String, run_dir: PathBuf) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("find the own program")?;
        let program = own.with_file_name("chaos");
        ensure!(
            program.is_file(),
            "find {}, which --drills needs; build it, or leave --drills out",
            program.display()
        );
        Ok(Self { suite, program, run_dir })
    }

    /// Whether drills may run here, and if not, why.
    pub fn are_allowed(&self) -> Result<(), String> {
        match runtime::environment::allows(&self.run_dir, None) {
            Ok(allowed) => allowed.map(|_| ()),
            Err(err) => Err(format!("{err:#}")),
        }
    }

    /// Begins to follow the suite, for the control plane of a region.
    pub fn start(&self, region: &RegionId) -> anyhow::Result<Followed> {
        let log = self.run_dir.join("logs").join("drills.log");
        if fs::metadata(&log).is_ok_and(|meta| meta.len() > LOG_MAX) {
            let aside = log.with_extension("log.1");
            fs::rename(&log, &aside).with_context(|| format!("put {} aside", log.display()))?;
        }
        let out = OpenOptions::new().create(true).append(true).open(&log);
        let out = out.with_context(|| format!("open {}", log.display()))?;
        let err = out.try_clone().with_context(|| format!("open {} twice", log.display()))?;
        let child = self
            .entrance()?
            .args(["suite", "run", &self.suite, "--tied-to", region.as_str(), "--run-dir"])
            .arg(&self.run_dir)
            // A signal that is meant for this process is not meant for a drill.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        let process = child.id().and_then(Process::with_pid);
        Ok(Followed { child, process })
    }

    /// Drills are where the platform's supervisor is: a region's own network may be what is cut off.
    fn entrance(&self) -> anyhow::Result<Command> {
        let path = self.run_dir.join("fleet.json");
        let fleet = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let fleet: Fleet = serde_json::from_slice(&fleet)
            .with_context(|| format!("understand {}", path.display()))?;
        let network = |process: &str| {
            let place = PathBuf::from(format!("/proc/{process}/{NETWORK}"));
            let told = fs::read_link(&place);
            told.map(|told| (told, place)).with_context(|| format!("find the network of {process}"))
        };
        let (own, _) = network("self")?;
        let (platforms, place) = network(&fleet.supervisor.to_string())?;
        if platforms == own {
            return Ok(Command::new(&self.program));
        }
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", place.display())).arg("--").arg(&self.program);
        Ok(command)
    }
}

impl Followed {
    /// Returns how it has ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("wait for the drills")
    }

    /// Lets go: it ends, and a drill that runs with it, unless it is that drill's doing.
    pub fn let_go(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Ends it, whatever runs: what was broken is taken away by itself or by its guard.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let told = self.process.map_or(Ok(()), |process| process.signal(Signal::TERM));
        self.let_go();
        told.context("end the drills")
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        self.child.wait().await.map(|_| ()).context("wait for the drills to end")
    }
}
