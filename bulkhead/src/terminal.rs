//! What goes to the terminal: answers to one stream, everything else to the other.

use std::io::{self, Write as _};

use anyhow::Context as _;

/// Prints an answer, with one line end.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // Whoever read it has read enough; what came of it is said by the exit code.
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to the terminal"),
    }
}

/// Prints one of answers without end, and ends the program when nobody reads them any more.
pub(crate) fn print_on(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("write to the terminal"),
    }
}

/// Says something that is no answer.
#[expect(clippy::print_stderr, reason = "this is the place that talks to people")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
