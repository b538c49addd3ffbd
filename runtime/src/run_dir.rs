//! Where a person's commands look for a platform when they are not told.

use std::path::PathBuf;

use anyhow::Context as _;

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
}
