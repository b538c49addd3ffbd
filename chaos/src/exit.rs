//! What the process's exit code says.

use std::process::ExitCode;

use serde::Serialize;
use topology::wire::suite::REFUSED;

/// In order of precedence, the gravest last: of several runs the gravest is what the process says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    Pass,
    /// The fault is not proven, there was too little traffic, the generator lagged, or a check
    /// could not tell.
    Inconclusive,
    /// The steady state was not met before; nothing was injected.
    Unsteady,
    /// Another run is going on, the lever is pulled, or more would be broken than may be.
    Refused,
    /// The drill itself failed.
    Harness,
    /// The command line or a drill file is wrong.
    Invalid,
    /// Stopped by a stop condition or a signal; cleaned up.
    Aborted,
    /// A limit was exceeded.
    Availability,
    /// Data was lost, doubled or written by two.
    Safety,
    /// Something was left behind.
    Residue,
}

impl Exit {
    pub(crate) const ALL: [Self; 10] = [
        Self::Pass,
        Self::Inconclusive,
        Self::Unsteady,
        Self::Refused,
        Self::Harness,
        Self::Invalid,
        Self::Aborted,
        Self::Availability,
        Self::Safety,
        Self::Residue,
    ];

    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Availability | Self::Safety => 1,
            Self::Invalid => 2,
            Self::Aborted => 3,
            Self::Inconclusive => 4,
            Self::Unsteady => 5,
            Self::Residue => 6,
            Self::Harness => 7,
            Self::Refused => REFUSED,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_outweighs_lost_data_which_outweighs_a_missed_limit() {
        let graver = [Exit::Pass, Exit::Inconclusive, Exit::Harness, Exit::Aborted];
        let gravest = [Exit::Availability, Exit::Safety, Exit::Residue];
        assert!(graver.iter().chain(&gravest).is_sorted());
    }
}
