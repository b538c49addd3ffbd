//! What people see. Results go to standard output; with `--json` that is one document, and the rest
//! goes to standard error.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

/// Whether the last line is one that is to be rewritten.
static UNFINISHED: AtomicBool = AtomicBool::new(false);
/// Back to the start of the line, and nothing in it.
const CLEAR: &str = "\r\x1b[K";

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
        let clear = if UNFINISHED.swap(false, Ordering::Relaxed) { CLEAR } else { "" };
        self.say(&format!("{clear}{text}\n"));
    }

    /// Says how things are going: in place of the last such line, where lines can be rewritten.
    pub(crate) fn progress(self, text: &str) {
        if self.rewrites() {
            UNFINISHED.store(true, Ordering::Relaxed);
            self.say(&format!("{CLEAR}{text}"));
        } else {
            self.line(text);
        }
    }

    /// Whether a line can be taken back.
    pub(crate) fn rewrites(self) -> bool {
        match self {
            Self::Text => io::stdout().is_terminal(),
            Self::Json => io::stderr().is_terminal(),
        }
    }

    fn say(self, text: &str) {
        let said = match self {
            Self::Text => write_text(&mut io::stdout().lock(), text),
            Self::Json => write_text(&mut io::stderr().lock(), text),
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
    write_text(out, &format!("{text}\n"))
}

fn write_text(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}
