//! Where a machine has cgroups that can freeze or limit: each controller of cgroup v1 has a hierarchy of its
//! own, and cgroup v2 one for all.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Which controllers a cgroup hands on to those below it.
const SUBTREE: &str = "cgroup.subtree_control";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Version {
    /// The `freezer` controller's own hierarchy.
    V1,
    /// The unified hierarchy.
    V2,
    /// The `cpu` controller's own hierarchy.
    Cpu,
    /// The `blkio` controller's own hierarchy.
    Disk,
    /// The unified hierarchy, where it hands the `io` controller on.
    UnifiedDisk,
}

impl Version {
    /// Returns the file that says what is done to those in a cgroup.
    pub(super) fn knob(self) -> &'static str {
        match self {
            Self::V1 => "freezer.state",
            Self::V2 => "cgroup.freeze",
            Self::Cpu => "cpu.cfs_quota_us",
            Self::Disk => "blkio.throttle.write_iops_device",
            Self::UnifiedDisk => "io.max",
        }
    }
}

/// Where cgroups that can freeze or limit may be, the best first.
pub(super) fn hierarchies() -> Vec<(Version, PathBuf)> {
    let candidates = [
        (Version::Cpu, "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
        (Version::Cpu, "/sys/fs/cgroup/cpu,cpuacct", "cpu.cfs_quota_us"),
        (Version::Disk, "/sys/fs/cgroup/blkio", "blkio.throttle.write_iops_device"),
        (Version::UnifiedDisk, "/sys/fs/cgroup", SUBTREE),
        (Version::UnifiedDisk, "/sys/fs/cgroup/unified", SUBTREE),
        (Version::V1, "/sys/fs/cgroup/freezer", "cgroup.procs"),
        (Version::V2, "/sys/fs/cgroup", "cgroup.controllers"),
        (Version::V2, "/sys/fs/cgroup/unified", "cgroup.controllers"),
    ];
    let there = candidates.into_iter().filter(|(version, mount, sign)| {
        let sign = Path::new(mount).join(sign);
        match version {
            Version::UnifiedDisk => fs::read_to_string(sign).is_ok_and(|text| hands_io_on(&text)),
            Version::V1 | Version::V2 | Version::Cpu | Version::Disk => sign.exists(),
        }
    });
    there.map(|(version, mount, _)| (version, PathBuf::from(mount))).collect()
}

/// Whether cgroups below one with these controllers can limit what is read and written.
fn hands_io_on(subtree_control: &str) -> bool {
    subtree_control.split_whitespace().any(|controller| controller == "io")
}

/// Returns where the writes of processes can be limited, and what an administrator would do about it that
/// they cannot.
pub(crate) fn disk_limits() -> Result<String, String> {
    let limits = |version| matches!(version, Version::Disk | Version::UnifiedDisk);
    let found = hierarchies().into_iter().find(|(version, _)| limits(*version));
    match found {
        Some((Version::UnifiedDisk, mount)) => {
            Ok(format!("{}: io.max of cgroup v2", mount.display()))
        }
        Some((_, mount)) => Ok(format!("{}: blkio of cgroup v1", mount.display())),
        None => {
            Err("no cgroup v1 hierarchy has the blkio controller, and the unified one does not \
             hand io on; `echo +io > /sys/fs/cgroup/cgroup.subtree_control` may let it"
                .to_owned())
        }
    }
}

/// Returns the path of a process's cgroup below the mount, from its `/proc/PID/cgroup`.
pub(super) fn home(version: Version, groups: &str) -> Option<String> {
    let mut lines = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let (_, _, path) = lines.find(|(id, controllers, _)| match version {
        Version::V1 => controllers.split(',').any(|controller| controller == "freezer"),
        Version::Cpu => controllers.split(',').any(|controller| controller == "cpu"),
        Version::Disk => controllers.split(',').any(|controller| controller == "blkio"),
        Version::V2 | Version::UnifiedDisk => *id == "0" && controllers.is_empty(),
    })?;
    Some(path.trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_sent_back_to_where_it_came_from() {
        let groups = "9:name=systemd:/\n6:freezer:/jobs/7\n3:cpu,cpuset:/\n0::/unified/x\n";
        assert_eq!(home(Version::V1, groups), Some("jobs/7".to_owned()));
        assert_eq!(home(Version::V2, groups), Some("unified/x".to_owned()));
        assert_eq!(home(Version::V1, "0::/\n"), None);
        assert_eq!(
            home(Version::UnifiedDisk, "0::/system.slice\n"),
            Some("system.slice".to_owned())
        );
    }

    #[test]
    fn a_unified_hierarchy_limits_writes_only_where_it_hands_io_on() {
        assert!(hands_io_on("cpuset cpu io memory pids\n"));
        assert!(!hands_io_on("cpu memory\n") && !hands_io_on(""));
    }
}
