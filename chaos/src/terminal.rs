//! What people see. Results go to standard output; with `--json` that is one document, and the rest
//! goes to standard error.

use std::io;

use anyhow::Context as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// For people, on standard output.
    Text,
    /// The report as JSON on standard output, progress on standard error.
    Json,
}

impl Terminal {
    /// Says which phase begins.
    pub(crate) fn phase(self, name: &str, what: &str) {
        self.line(&format!("{name:<10} {what}"));
    }

    /// Says something by the way; a terminal that is gone cannot be told.
    pub(crate) fn line(self, text: &str) {
        let said = match self {
            Self::Text => write_line(&mut io::stdout().lock(), text),
            Self::Json => write_line(&mut io::stderr().lock(), text),
        };
        if said.is_err() {
            tracing::debug!("terminal is gone");
        }
    }
}

/// Writes a result. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match write_line(&mut io::stdout().lock(), text) {
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to standard output"),
    }
}

/// Says what is wrong with what was asked.
pub(crate) fn complain(text: &str) {
    if write_line(&mut io::stderr().lock(), text).is_err() {
        tracing::debug!("terminal is gone");
    }
}

fn write_line(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "{text}").and_then(|()| out.flush())
}
