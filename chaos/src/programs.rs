//! Where the programs are that drills run besides this one.

use std::path::PathBuf;

use anyhow::Context as _;

pub(crate) fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Returns the platform's program, which is beside this one.
pub(crate) fn platform() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(own.with_file_name("platform"))
}
