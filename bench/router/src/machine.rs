//! What it was measured on, and with what.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::proxy::Programs;

/// Returns lines about the machine and the programs, for whoever measures again.
pub(crate) fn describe(programs: &Programs) -> Vec<String> {
    let mut lines = vec![format!(
        "{} cores of {}, Linux {}",
        // All of them, not those that this process may use.
        read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count(),
        field("/proc/cpuinfo", "model name"),
        read("/proc/sys/kernel/osrelease")
    )];
    lines.push(version("nginx", "-v"));
    lines.push(version("haproxy", "-v"));
    if let Some(envoy) = &programs.envoy {
        lines.push(version(&envoy.to_string_lossy(), "--version"));
    }
    lines.push(version(&programs.router.to_string_lossy(), "--version"));
    lines
}

/// Returns how many processes wanted to run in the last minute, this benchmark's own included.
pub(crate) fn load_average() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or("unknown").to_owned()
}

fn version(program: &str, flag: &str) -> String {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let said = Command::new(program).arg(flag).output().map(|output| {
        // nginx says it on the error output.
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().find(|line| !line.is_empty()).map(str::to_owned)
    });
    match said {
        // Some say where they are, which is nobody's business.
        Ok(Some(line)) if program.contains('/') => {
            format!("{name}: {}", line.replace(program, "").trim())
        }
        Ok(Some(line)) => format!("{name}: {}", line.trim()),
        Ok(None) | Err(_) => format!("{name}: version unknown"),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map_or_else(|| "an unknown kind".to_owned(), |(_, value)| value.trim().to_owned())
}
