//! One thing wrong with `regions.yaml`, in the words of the file.

use std::fmt;

use super::LeasePolicy;
use crate::{CellId, InvalidId, RegionId};

/// A problem and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Counted from 1; 0 where the problem is something that is missing from the whole file.
    pub line: usize,
    /// The place in the file's own words, such as `cells[1].home`.
    pub place: String,
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.place, self.problem)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("not YAML: {0}")]
    NotYaml(String),
    #[error("unknown key; expected one of {0}")]
    UnknownKey(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("expected {expected}, found {found}")]
    WrongType { expected: &'static str, found: String },
    #[error("{0}")]
    InvalidId(InvalidId),
    #[error("{0} is listed twice")]
    Repeated(String),
    #[error("region {0} is not listed under regions")]
    UnknownRegion(RegionId),
    #[error("cell {0} needs two standbys outside its home, so that one region may be lost")]
    TooFewStandbys(CellId),
    #[error("its home {0} cannot be its standby too")]
    StandbyAtHome(RegionId),
    #[error("network {0} is also that of region {1}")]
    NetworkTaken(String, RegionId),
    #[error(
        "network {0} is not one of 127.1.0.0/16 to 127.253.0.0/16, which alone can be emulated"
    )]
    NotEmulated(String),
    #[error("no line from {0} to {1}")]
    NoLine(String, String),
    #[error("the section wan is missing, which says how far apart the regions are")]
    NoDistances,
    #[error("no cell has a weight above 0")]
    NobodyServes,
    #[error("{0} is out of range: {1}")]
    OutOfRange(String, &'static str),
    #[error(
        "unsafe: renew {:?}, right {:?} and patience {:?} must satisfy 2 x renew <= right and \
         1.01 x right + 250ms < 0.99 x patience",
        .0.renew, .0.right, .0.patience
    )]
    UnsafeLease(LeasePolicy),
}
