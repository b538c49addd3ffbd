//! Child processes that do not outlive what started them.

use std::process::Command;

/// Becomes the program, if the starter still is the parent: one that died before `setpriv` had
/// asked for the death signal would not be noticed any more.
const IF_STILL_CHILD: &str = "[ $PPID -eq $0 ] || exit 1; exec \"$@\"";

/// Returns a command that becomes the program named by its next argument, and that the kernel sends
/// `signal` (as in `KILL`) when this process is gone. With `owner` it runs as that user and group.
///
/// Nothing forks, so the program has the child's pid. The signal comes when the starting *thread*
/// ends: start from one that lives as long as the process.
#[must_use]
pub fn tied(signal: &str, owner: Option<(u32, u32)>) -> Command {
    let mut command = with_death_signal(signal);
    if let Some((user, group)) = owner {
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
        command.arg("--clear-groups");
    }
    command.args(["--", "/bin/sh", "-c", IF_STILL_CHILD]).arg(std::process::id().to_string());
    command
}

/// Returns the same for a program that lives in another process namespace than this process. It sees no
/// parent, whether or not it still has one: the first process of its namespace has to end with this one.
#[must_use]
pub fn tied_from_outside(signal: &str) -> Command {
    let mut command = with_death_signal(signal);
    command.arg("--");
    command
}

fn with_death_signal(signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tied_child_becomes_the_program_with_its_arguments() {
        let output = tied("KILL", None).args(["printf", "%s-%s", "a b", "c"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b-c");
        let output = tied_from_outside("KILL").args(["printf", "%s", "a b"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b");
    }
}
