//! What it was measured on, and with what.

use std::fs;
use std::process::Command;

/// Returns lines about the machine and etcd, for whoever measures again.
pub(crate) fn describe() -> Vec<String> {
    let cpus = read("/proc/cpuinfo");
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let machine = format!(
        "{} cores of {}, Linux {}",
        cpus.lines().filter(|line| line.starts_with("processor")).count(),
        name.map_or("an unknown kind", |(_, name)| name),
        read("/proc/sys/kernel/osrelease")
    );
    let etcd = Command::new("etcd").arg("--version").output().map(|output| {
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    });
    vec![machine, etcd.unwrap_or_else(|_| "etcd of an unknown version".to_owned())]
}

/// Returns how many processes wanted to run in the last minute, this benchmark's own included.
pub(crate) fn load_average() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or("unknown").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
