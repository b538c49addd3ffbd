//! What a machine must have to emulate a WAN, for whoever starts one or says what is missing.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

/// Devices that a program reads and writes packets of.
const TUN: &str = "/dev/net/tun";

/// Returns a line for each thing that is missing; none where a WAN can be emulated.
#[must_use]
pub fn missing() -> Vec<String> {
    if !rustix::process::geteuid().is_root() {
        return vec![
            "root: network namespaces and their devices are made by root alone".to_owned(),
        ];
    }
    let mut found = Vec::new();
    if let Err(err) = OpenOptions::new().read(true).write(true).open(TUN) {
        found.push(format!("{TUN}: {err}; the kernel needs CONFIG_TUN (modprobe tun)"));
    }
    if !works("ip", &["-Version"]) {
        found.push("ip: not installed; apt-get install iproute2".to_owned());
    }
    if !works("nsenter", &["--version"]) {
        found.push("nsenter: not installed; apt-get install util-linux".to_owned());
    } else if !works("unshare", &["--net", "true"]) {
        found.push("network namespaces: not allowed; a container needs CAP_SYS_ADMIN".to_owned());
    }
    found
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
