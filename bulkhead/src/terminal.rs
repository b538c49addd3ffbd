//! What goes to the terminal: answers to one stream, everything else to the other.

use std::io::{self, Write as _};

use anyhow::Context as _;

/// Prints an answer, with one line end.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // Whoever read it has read enough.
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("write to the terminal"),
    }
}

/// Says something that is no answer.
#[expect(clippy::print_stderr, reason = "this is the place that talks to people")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
