//! How the program ends, for scripts.

use std::process::ExitCode;

use runtime::Problem;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The control plane understood, and said no.
    #[error("{}", said(.0))]
    Refused(Box<Problem>),
    /// No control plane answered, or none that can.
    #[error("reach a control plane: {0}")]
    Unreachable(String),
    /// What was begun ended otherwise.
    #[error("{0}")]
    Undone(String),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// In the words of `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done
  1  something else went wrong
  2  the command line is wrong
  3  the control plane refused, and said why
  4  no control plane answered
  5  what was begun ended otherwise than asked";

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Other(_) => 1,
            Self::Refused(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Undone(_) => 5,
        })
    }
}

/// The title, what is wrong in particular, and the type to look up.
fn said(problem: &Problem) -> String {
    let mut text = format!("{} ({})", problem.title, problem.code);
    for line in problem.detail.iter().chain(problem.errors.iter().map(|error| &error.detail)) {
        text = format!("{text}\n  {line}");
    }
    text
}
