//! Wall clocks of the sites that drills can set, each in a file (`runtime::fake_clock`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use runtime::fake_clock::{self, RIGHT};
use runtime::program;
use topology::Spec;
use topology::spec::Cell;

use crate::run_dir::RunDir;

/// PostgreSQL, which runs as its own user, reads it.
const MODE: u32 = 0o644;
/// Where programs share memory by names.
const SHARED: &str = "/dev/shm";
/// PostgreSQL shares it with the agent, which runs as another user.
const SHARED_MODE: u32 = 0o666;

pub(crate) struct Clocks {
    library: PathBuf,
    run_dir: RunDir,
    /// What is shared under `SHARED`, to be removed in the end.
    made: Mutex<BTreeSet<String>>,
}

impl Clocks {
    /// Makes the files; all clocks are right.
    pub(crate) fn make(spec: &Spec, run_dir: &RunDir) -> anyhow::Result<Self> {
        let library = fake_clock::library().map_err(|missing| anyhow!(missing))?;
        run_dir.create_clocks()?;
        for site in spec.cells.iter().flat_map(Cell::sites) {
            let path = run_dir.clock(&site.to_string());
            runtime::file::replace(&path, RIGHT.as_bytes(), MODE)
                .with_context(|| format!("write {}", path.display()))?;
        }
        Ok(Self { library, run_dir: run_dir.clone(), made: Mutex::default() })
    }

    /// Returns what a process is started with, so that its clock is as its file says. It hands that on
    /// to those it starts.
    pub(crate) fn environment(
        &self,
        process: &str,
    ) -> anyhow::Result<[(&'static str, OsString); 5]> {
        let name = format!("bulkhead-clock-{}-{process}", self.place());
        self.share(&name).with_context(|| format!("share the clock of {process}"))?;
        Ok([
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_SHARED", format!("/{name} /{name}").into()),
            ("FAKETIME_TIMESTAMP_FILE", self.run_dir.clock(process).into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            // A change is noticed when more seconds than this have passed.
            ("FAKETIME_CACHE_DURATION", "1".into()),
        ])
    }

    /// Makes what libfaketime shares between a process and those it starts. By itself it makes that for
    /// one user alone, and leaves it behind where a process is killed: one that is at once leaves it
    /// here. Anew for each start, because who is killed may have it locked.
    fn share(&self, name: &str) -> anyhow::Result<()> {
        let mut maker = Command::new("/bin/sh");
        maker.args(["-c", "kill -9 $$"]).env("LD_PRELOAD", &self.library);
        maker.env_remove("FAKETIME_SHARED").stdin(Stdio::null());
        let maker = maker.spawn().context("run a shell")?;
        let pid = maker.id();
        program::ended(maker, "", program::PATIENCE).context("wait for a shell")?;
        let kept = [name.to_owned(), format!("sem.{name}")];
        let left = [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")];
        for (left, kept) in left.into_iter().zip(kept) {
            let (left, path) = (Path::new(SHARED).join(left), Path::new(SHARED).join(&kept));
            fs::rename(&left, &path).with_context(|| format!("rename {}", left.display()))?;
            fs::set_permissions(&path, Permissions::from_mode(SHARED_MODE))
                .with_context(|| format!("let everybody use {}", path.display()))?;
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(kept);
        }
        Ok(())
    }

    /// The run directory as a part of a name, so that the next run takes this one's place.
    fn place(&self) -> String {
        /// Names have 255 bytes at most; the end of a path tells more than its beginning.
        const LONGEST: usize = 100;
        let path = self.run_dir.path().to_string_lossy();
        let plain: Vec<char> =
            path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        plain[plain.len().saturating_sub(LONGEST)..].iter().collect()
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner);
        for name in std::mem::take(made) {
            if let Err(error) = fs::remove_file(Path::new(SHARED).join(&name)) {
                tracing::warn!(%error, name, "shared clock not removed");
            }
        }
    }
}
