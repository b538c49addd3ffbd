//! Who serves a cell, told by a site that refuses a request to a router that may not have heard.

use std::fmt;
use std::str::FromStr;

use super::Malformed;
use crate::{Epoch, RegionId};

/// In a header: `9 north`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub epoch: Epoch,
    pub region: RegionId,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.epoch, self.region)
    }
}

impl FromStr for Hint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::Value(format!("{text:?} is no epoch and region"));
        let (epoch, region) = text.split_once(' ').ok_or_else(malformed)?;
        let epoch = epoch.parse().map(Epoch).map_err(|_not| malformed())?;
        Ok(Self { epoch, region: region.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let hint = Hint { epoch: Epoch(9), region: "north".parse().unwrap() };
        assert_eq!(hint.to_string().parse::<Hint>().unwrap(), hint);
        for bad in ["", "9", "north 9", "9 north east", "-1 north"] {
            assert!(bad.parse::<Hint>().is_err(), "{bad:?}");
        }
    }
}
