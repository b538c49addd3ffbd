//! Whether the run directory can hold what it must, and be reached by those who must.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::statvfs;

use crate::machine;

/// Nine databases of some 60 MB, their WAL, three etcd members and logs, with room to grow.
const FREE_MIN: u64 = 2 * 1024 * 1024 * 1024;
/// Anybody may pass through.
const OTHERS_ENTER: u32 = 0o001;

pub(super) fn problems(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    // The nearest part of the path that exists already.
    let Some(existing) = folder.ancestors().find(|ancestor| ancestor.exists()) else {
        return vec![format!("{}: no part of this path exists", folder.display())];
    };
    if !existing.is_dir() {
        found.push(format!("{}: not a folder", existing.display()));
    } else if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        let shown = folder.display();
        found.push(format!("{shown}: no permission to write; choose another --run-dir"));
    }
    match statvfs(existing) {
        Ok(disk) if disk.f_bavail * disk.f_frsize < FREE_MIN => {
            let free = disk.f_bavail * disk.f_frsize / (1024 * 1024);
            let needed = FREE_MIN / (1024 * 1024);
            found.push(format!("{}: {free} MB free, {needed} MB needed", folder.display()));
        }
        Ok(_) => {}
        Err(err) => found.push(format!("{}: cannot tell free space: {err}", existing.display())),
    }
    if machine::is_root() {
        found.extend(closed(existing).map(|closed| {
            format!(
                "{closed}: closed to other users, but PostgreSQL runs as its own user there; \
                 choose another --run-dir",
            )
        }));
    }
    found
}

/// Returns the part of the path that keeps the PostgreSQL user out.
fn closed(folder: &Path) -> Option<String> {
    folder.ancestors().find_map(|part| {
        let mode = fs::metadata(part).ok()?.mode();
        (mode & OTHERS_ENTER == 0).then(|| part.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_part_of_a_path_that_keeps_others_out_is_named() {
        let folder = std::env::temp_dir().join(format!("bulkhead-closed-{}", std::process::id()));
        let inner = folder.join("inner");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(closed(&inner), Some(folder.display().to_string()));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(closed(&inner), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
