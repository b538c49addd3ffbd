//! Where a person's commands look for a platform when they are not told, and who runs one there.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::process::Process;

/// The file that a supervisor has locked for as long as it lives; in it are its pid and start time.
pub const LOCK: &str = "supervisor.lock";
/// Who has just taken the lock, or is about to give it back, is not named for microseconds.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Returns the run directory asked for, or the default one, as an absolute path.
pub fn run_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder,
        None => default_folder(
            rustix::process::geteuid().is_root(),
            std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
            std::env::var_os("HOME").map(PathBuf::from),
        )
        .context("find a place for the run directory; name one with --run-dir")?,
    };
    std::path::absolute(&folder).with_context(|| format!("make {} absolute", folder.display()))
}

/// Returns the supervisor that has a run directory for its platform, which may be just starting or
/// stopping; `None` if nobody has. The lock decides: a file that names somebody may have been left behind.
pub fn supervisor(run_dir: &Path) -> anyhow::Result<Option<Process>> {
    let path = run_dir.join(LOCK);
    for look in 0..LOOKS {
        if look > 0 {
            sleep(PAUSE);
        }
        if !is_locked(&path)? {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if let Some(process) = parse(&text).filter(|process| process.is_alive()) {
            return Ok(Some(process));
        }
    }
    bail!("find out who has {} locked: nobody alive is named in it", path.display())
}

/// Whoever looks has it for a moment, together with others who look: who means to have it alone tries
/// more than once.
fn is_locked(path: &Path) -> anyhow::Result<bool> {
    let file = match File::open(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.with_context(|| format!("open {}", path.display()))?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(err) => Err(err).with_context(|| format!("try the lock of {}", path.display())),
    }
}

fn parse(text: &str) -> Option<Process> {
    let (pid, start_time) = text.trim().split_once(' ')?;
    Some(Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
}

fn default_folder(
    is_root: bool,
    state_home: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/bulkhead"));
    }
    let state_home = state_home.filter(|path| path.is_absolute());
    let folder = state_home.or_else(|| home.map(|home| home.join(".local/state")))?;
    Some(folder.join("bulkhead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_keeps_its_data_where_every_user_can_enter() {
        let home = Some(PathBuf::from("/root"));
        assert_eq!(default_folder(true, None, home), Some(PathBuf::from("/var/lib/bulkhead")));
    }

    #[test]
    fn a_person_keeps_data_under_the_state_folder() {
        let home = || Some(PathBuf::from("/home/mei"));
        let state = Some(PathBuf::from("/state"));
        assert_eq!(default_folder(false, state, home()), Some(PathBuf::from("/state/bulkhead")));
        let of_home = Some(PathBuf::from("/home/mei/.local/state/bulkhead"));
        assert_eq!(default_folder(false, None, home()), of_home);
        assert_eq!(default_folder(false, None, None), None);
    }

    #[test]
    fn a_run_directory_is_somebodys_only_while_the_lock_is_held() {
        let folder = std::env::temp_dir().join(format!("run-dir-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(supervisor(&folder).unwrap(), None);
        let own = Process::own().unwrap();
        fs::write(folder.join(LOCK), format!("{} {}\n", own.pid, own.start_time)).unwrap();
        assert_eq!(supervisor(&folder).unwrap(), None);
        let lock = File::open(folder.join(LOCK)).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(supervisor(&folder).unwrap(), Some(own));
        fs::write(folder.join(LOCK), "").unwrap();
        let unnamed = supervisor(&folder).unwrap_err().to_string();
        assert!(unnamed.ends_with("nobody alive is named in it"), "{unnamed}");
        drop(lock);
        assert_eq!(supervisor(&folder).unwrap(), None);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn where_it_cannot_be_told_who_has_a_run_directory_that_is_said() {
        let file = std::env::temp_dir().join(format!("run-dir-file-{}", std::process::id()));
        fs::write(&file, "").unwrap();
        assert!(supervisor(&file).is_err());
        fs::remove_file(&file).unwrap();
    }
}
