//! Whether everything that is to be started is installed and built.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::machine;

/// Where Debian's packages put PostgreSQL, one folder per major version.
const POSTGRES: &str = "/usr/lib/postgresql";
/// What a site's agent calls of it.
const POSTGRES_PROGRAMS: [&str; 5] =
    ["initdb", "postgres", "pg_basebackup", "pg_rewind", "pg_controldata"];
/// The user PostgreSQL runs as when the platform runs as root.
const POSTGRES_USER: &str = "postgres";

/// The programs the supervisor starts.
pub(crate) struct Programs {
    pub(crate) etcd: PathBuf,
    pub(crate) control_plane: PathBuf,
    pub(crate) cell: PathBuf,
    pub(crate) router: PathBuf,
    /// This one.
    pub(crate) platform: PathBuf,
}

/// Returns the programs, or a line for each that is missing.
pub(super) fn find() -> Result<Programs, Vec<String>> {
    let mut problems = Vec::new();
    let mut need = |found: Result<PathBuf, String>| {
        found.unwrap_or_else(|problem| {
            problems.push(problem);
            PathBuf::new()
        })
    };
    let programs = Programs {
        etcd: need(on_path("etcd", "etcd-server")),
        control_plane: need(sibling("control-plane")),
        cell: need(sibling("cell")),
        router: need(sibling("router")),
        platform: need(sibling("platform")),
    };
    // Ties every process to the one that started it.
    problems.extend(on_path("setpriv", "util-linux").err());
    problems.extend(postgres_problem(Path::new(POSTGRES)));
    if machine::is_root() && !user_exists(POSTGRES_USER) {
        problems.push(format!("user {POSTGRES_USER}: not known; PostgreSQL does not run as root"));
    }
    if problems.is_empty() { Ok(programs) } else { Err(problems) }
}

pub(crate) fn on_path(name: &str, package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
        .ok_or_else(|| format!("{name}: not installed; apt-get install {package}"))
}

pub(super) fn sibling(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|err| format!("find the own program: {err}"))?;
    let file = own.with_file_name(name);
    if is_program(&file) {
        Ok(file)
    } else {
        Err(format!("{}: not built; cargo build --workspace --bins", file.display()))
    }
}

/// Says what is missing of the newest PostgreSQL; nothing if it is whole.
fn postgres_problem(folder: &Path) -> Option<String> {
    let Some(bin) = newest(folder) else {
        let folder = folder.display();
        return Some(format!("{folder}: PostgreSQL is not installed; apt-get install postgresql"));
    };
    let missing: Vec<&str> =
        POSTGRES_PROGRAMS.into_iter().filter(|name| !is_program(&bin.join(name))).collect();
    if missing.is_empty() {
        None
    } else {
        Some(format!(
            "{}: without {}; apt-get install postgresql",
            bin.display(),
            missing.join(", ")
        ))
    }
}

/// Returns the folder with the programs of the newest PostgreSQL, if there is one.
pub(crate) fn newest_postgres() -> Option<PathBuf> {
    newest(Path::new(POSTGRES))
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(folder).into_iter().flatten().flatten();
    versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| folder.join(version.to_string()).join("bin"))
}

/// Returns user and group that PostgreSQL runs as; `None` when this is an ordinary user, who runs it
/// as itself.
pub(crate) fn postgres_owner() -> Option<(u32, u32)> {
    if !machine::is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let owner = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (*fields.first()? == POSTGRES_USER).then_some(owner)
    })
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn user_exists(name: &str) -> bool {
    fs::read_to_string("/etc/passwd")
        .is_ok_and(|users| users.lines().any(|line| line.split(':').next() == Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_versions_has_no_postgres() {
        let problem = postgres_problem(Path::new("/proc/self/task")).map(|_| "missing");
        assert_eq!(problem, Some("missing"));
    }

    #[test]
    fn root_is_known_and_nobody_else_by_chance() {
        assert!(user_exists("root"));
        assert!(!user_exists("roo"));
    }
}
