//! The run directory: where everything of one running platform is kept.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::fake_clock::FOLDER;
use runtime::run_dir::LOCK;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use topology::wire::fleet::Hold;
use topology::{CellId, SiteId};

use crate::disk;
use crate::machine::Process;

/// What `--fresh` deletes; reports of drills and backups stay.
const DATA: [&str; 11] = [
    "etcd",
    "sites",
    "routers",
    "secrets",
    "holds",
    "logs",
    "restores",
    "volumes",
    "spec.yaml",
    "fleet.json",
    "wan.sock",
];

/// Whoever only looks who has the lock has it for microseconds.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub(crate) struct RunDir(PathBuf);

/// Held by the one supervisor of a run directory for as long as it lives.
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Says that nobody is here; the kernel frees the lock itself.
    fn drop(&mut self) {
        if let Err(err) = self.0.set_len(0) {
            tracing::warn!(error = %err, "lock file still names this process");
        }
    }
}

impl RunDir {
    /// Returns the directory asked for, or the default one.
    pub(crate) fn find(given: Option<PathBuf>) -> anyhow::Result<Self> {
        runtime::run_dir::run_dir(given).map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join("spec.yaml")
    }

    pub(crate) fn fleet(&self) -> PathBuf {
        self.0.join("fleet.json")
    }

    pub(crate) fn hold(&self, process: &str) -> PathBuf {
        self.0.join("holds").join(format!("{process}.json"))
    }

    /// Where the clock of a process is set.
    pub(crate) fn clock(&self, process: &str) -> PathBuf {
        self.0.join(FOLDER).join(process)
    }

    /// What a site keeps.
    pub(crate) fn site(&self, site: &SiteId) -> PathBuf {
        self.0.join("sites").join(site.to_string())
    }

    /// The images of the sites' volumes, if they have some of their own.
    pub(crate) fn volumes(&self) -> PathBuf {
        runtime::volumes::images(&self.0)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    pub(crate) fn etcd(&self, region: &str) -> PathBuf {
        self.0.join("etcd").join(region)
    }

    /// The administrator's token for the control plane.
    pub(crate) fn control_plane_token(&self) -> PathBuf {
        self.0.join("secrets/control-plane.token")
    }

    /// The token of somebody who may do less.
    pub(crate) fn token_of(&self, role: &str) -> PathBuf {
        self.0.join(format!("secrets/{role}.token"))
    }

    /// Who may call the control plane: names, roles and hashes.
    pub(crate) fn callers(&self) -> PathBuf {
        self.0.join("secrets/control-plane.callers")
    }

    /// What the console signs its sessions with.
    pub(crate) fn console_key(&self) -> PathBuf {
        self.0.join("secrets/console.key")
    }

    pub(crate) fn identity_key(&self) -> PathBuf {
        self.0.join("secrets/identity.key")
    }

    /// What the routers sign visitors' identities with: one key a line, the first one signs.
    pub(crate) fn visitor_keys(&self) -> PathBuf {
        self.0.join("secrets/visitor.keys")
    }

    /// Names this platform for good, through fresh starts too.
    pub(crate) fn environment(&self) -> PathBuf {
        self.0.join("environment")
    }

    /// Carries the environment's id where drills may break it.
    pub(crate) fn drills_allowed(&self) -> PathBuf {
        self.0.join("drills-allowed")
    }

    pub(crate) fn password(&self, cell: &CellId, role: &str) -> PathBuf {
        self.0.join("secrets").join(cell.as_str()).join(format!("{role}.password"))
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join(LOCK)
    }

    /// Makes the folders. They can be entered by everybody: PostgreSQL runs as its own user.
    pub(crate) fn create<'a>(&self, cells: impl Iterator<Item = &'a CellId>) -> anyhow::Result<()> {
        let fixed = ["", "etcd", "sites", "routers", "holds", "logs", "drills", "secrets"];
        let folders = fixed.iter().map(|name| self.0.join(name));
        let of_cells = cells.map(|cell| self.0.join("secrets").join(cell.as_str()));
        for folder in folders.chain(of_cells) {
            create_folder(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        Ok(())
    }

    /// Takes the lock; fails, naming who has it, if another supervisor runs here.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        create_folder(&self.0).with_context(|| format!("make {}", self.0.display()))?;
        let path = self.lock_file();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        if !take(&file).with_context(|| format!("lock {}", path.display()))? {
            let holder = match self.supervisor()? {
                Some(supervisor) => format!("process {}", supervisor.pid),
                None => "or somebody who looks whether one does".to_owned(),
            };
            bail!(
                "lock {}: a platform runs there already, {holder}; \
                 see `platform status`, stop it with `platform down`",
                self.0.display()
            );
        }
        let own = Process::own().context("read /proc/self/stat")?;
        file.set_len(0)
            .and_then(|()| writeln!(file, "{} {}", own.pid, own.start_time))
            .with_context(|| format!("write {}", path.display()))?;
        Ok(Lock(file))
    }

    /// Returns the supervisor that runs here, if one does.
    pub(crate) fn supervisor(&self) -> anyhow::Result<Option<Process>> {
        runtime::run_dir::supervisor(&self.0)
    }

    /// Deletes the data of an earlier run, if there was one: nothing is touched in a folder that
    /// no supervisor has locked before.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        if !disk::is_there(&self.lock_file())? {
            return Ok(());
        }
        for name in DATA {
            let path = self.0.join(name);
            let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { remove_file(&path) };
            gone.with_context(|| format!("delete {}", path.display()))?;
        }
        Ok(())
    }

    /// Returns whether a process is held until somebody lets it start again.
    pub(crate) fn is_held_for_good(&self, process: &str) -> bool {
        is_for_good(&self.hold(process))
    }

    /// Makes the folder of the clocks.
    pub(crate) fn create_clocks(&self) -> anyhow::Result<()> {
        let folder = self.0.join(FOLDER);
        create_folder(&folder).with_context(|| format!("make {}", folder.display()))
    }

    /// Deletes the clocks of an earlier run, which need not have been right.
    pub(crate) fn forget_clocks(&self) -> anyhow::Result<()> {
        let folder = self.0.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
            gone => gone.with_context(|| format!("delete {}", folder.display())),
        }
    }

    /// Deletes holds of an earlier run: their times are of a clock that may have started again. One
    /// for good has no time.
    pub(crate) fn forget_holds(&self) -> anyhow::Result<()> {
        let folder = self.0.join("holds");
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
            if !is_for_good(&path) {
                remove_file(&path).with_context(|| format!("delete {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Returns whether the lock was to be had.
fn take(file: &File) -> rustix::io::Result<bool> {
    for _ in 0..LOCK_TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => sleep(LOCK_PAUSE),
            Err(err) => return Err(err),
        }
    }
    Ok(false)
}

fn is_for_good(hold: &Path) -> bool {
    let hold = fs::read(hold).ok().and_then(|text| serde_json::from_slice::<Hold>(&text).ok());
    hold.is_some_and(|hold| hold.until == u64::MAX)
}

fn create_folder(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    // Whatever the umask is.
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn remove_file(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
