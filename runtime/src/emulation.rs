//! What a machine must have to emulate a WAN, for whoever starts one or says what is missing.

use std::fs::OpenOptions;
use std::process::Command;

use crate::program;

/// Devices that a program reads and writes packets of.
const TUN: &str = "/dev/net/tun";
/// A process namespace says which pid it gives next.
const SET_PID: &str = "echo 1000 > /proc/sys/kernel/ns_last_pid";

/// Returns a line for each thing that is missing; none where a WAN can be emulated.
#[must_use]
pub fn missing() -> Vec<String> {
    if !rustix::process::geteuid().is_root() {
        return vec!["root: namespaces and their devices are made by root alone".to_owned()];
    }
    let mut found = Vec::new();
    if let Err(err) = OpenOptions::new().read(true).write(true).open(TUN) {
        found.push(format!("{TUN}: {err}; the kernel needs CONFIG_TUN (modprobe tun)"));
    }
    if let Err(why) = runs("ip", &["-Version"]) {
        found.push(format!("{why}; apt-get install iproute2"));
    }
    if let Err(why) = runs("nsenter", &["--version"]) {
        found.push(format!("{why}; apt-get install util-linux"));
        return found;
    }
    if let Err(why) = runs("unshare", &["--net", "true"]) {
        found.push(format!("network namespaces: {why}; a container needs CAP_SYS_ADMIN"));
    }
    if let Err(why) = runs("unshare", &["--pid", "--fork", "--mount-proc", "sh", "-c", SET_PID]) {
        found.push(format!(
            "process namespaces: {why}; the kernel needs CONFIG_PID_NS and CONFIG_CHECKPOINT_RESTORE, a \
             container CAP_SYS_ADMIN"
        ));
    }
    found
}

fn runs(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    program::run(command, "").map(|_| ()).map_err(|err| format!("{err:#}"))
}
