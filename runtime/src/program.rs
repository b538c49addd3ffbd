//! Programs of the system that do what only they can, waited for no longer than they should take.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use crate::process::Process;

/// Small ones take milliseconds; one that waits for a lock of the kernel is not waited for any longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a small program to its end with a text to read, and returns what it wrote. One that says that it
/// has failed is an error with what it complained of; one that does not end within 10 s is ended.
///
/// It runs where the calling thread is: in that one's namespaces.
pub fn run(command: Command, script: &str) -> anyhow::Result<String> {
    run_within(command, script, PATIENCE)
}

/// The same for one that may take its time.
pub fn run_within(mut command: Command, script: &str, within: Duration) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    // What they complain of is told from other complaints, so it had better be in one language.
    command.env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().with_context(|| format!("run {name}"))?;
    let output = ended(child, script, within).with_context(|| format!("run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "run {name}: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits for a program that was started, with a text for its standard input if that is a pipe, and returns
/// how it has ended and what it wrote into pipes. One that does not end in time is ended, which is an error.
pub fn ended(mut child: Child, script: &str, within: Duration) -> anyhow::Result<Output> {
    let process = Process::with_pid(child.id());
    let (tell, told) = mpsc::channel();
    let script = script.to_owned();
    thread::spawn(move || {
        // Whoever ends without having read it says itself why.
        if let Some(mut stdin) = child.stdin.take() {
            drop(stdin.write_all(script.as_bytes()));
        }
        // Nobody may wait for it any more.
        drop(tell.send(child.wait_with_output()));
    });
    let Ok(output) = told.recv_timeout(within) else {
        if let Some(process) = process {
            process.signal(Signal::KILL).context("end it")?;
        }
        bail!("it did not end within {within:?}");
    };
    output.context("wait for it")
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, pipe};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_reads_its_text_and_says_what_it_has_to_say() {
        assert_eq!(run(shell("cat"), "a text").unwrap(), "a text");
        let failed = run(shell("echo no such table >&2; exit 1"), "").unwrap_err();
        assert_eq!(format!("{failed:#}"), "run sh: no such table");
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let within = Duration::from_millis(50);
        let failed = run_within(shell("exec sleep 1000"), "", within);
        assert_eq!(format!("{:#}", failed.unwrap_err()), "run sh: it did not end within 50ms");
        // Nobody else has an end to write into, so what is read ends with the program.
        let (mut of_it, its_own) = pipe().unwrap();
        let mut command = shell("exec sleep 1000");
        let child = command.stdout(its_own).spawn().unwrap();
        drop(command);
        ended(child, "", within).unwrap_err();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(of_it.read_to_end(&mut Vec::new()).unwrap()));
        assert_eq!(told.recv_timeout(PATIENCE), Ok(0));
    }
}
