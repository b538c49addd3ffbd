//! What people see: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;

/// Writes a result. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to standard output"),
    }
}

/// Says something beside the result; a terminal that is gone cannot be told.
pub(crate) fn note(text: &str) {
    write_error(&format!("{text}\n"));
}

/// One line that is written over on a terminal, and repeated only when it changes elsewhere.
#[derive(Default)]
pub(crate) struct Progress {
    shown: String,
}

impl Progress {
    pub(crate) fn show(&mut self, text: &str, seconds: u64) {
        if io::stderr().is_terminal() {
            write_error(&format!("\r\x1b[K{text} ({seconds} s)"));
        } else if text != self.shown {
            note(text);
        }
        text.clone_into(&mut self.shown);
    }

    /// Ends the line, so that what follows stands on its own.
    pub(crate) fn end(&mut self) {
        if io::stderr().is_terminal() && !self.shown.is_empty() {
            write_error("\r\x1b[K");
        }
        self.shown.clear();
    }
}

fn write_error(text: &str) {
    let mut out = io::stderr().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        tracing::debug!("standard error is gone");
    }
}
