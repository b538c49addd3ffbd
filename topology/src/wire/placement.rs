//! `placement`: slot → cell, run by run.

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::placement::InvalidPlacement;
use crate::{Placement, SLOTS, Version};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementRecord {
    pub cells: Vec<String>,
    /// `[index into cells, how many slots in a row]`, from slot 0 on.
    pub runs: Vec<(u16, u16)>,
}

impl From<&Placement> for PlacementRecord {
    fn from(placement: &Placement) -> Self {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for owner in placement.owners() {
            match runs.last_mut() {
                Some((last, length)) if last == owner => *length += 1,
                Some(_) | None => runs.push((*owner, 1)),
            }
        }
        Self { cells: placement.cells().iter().map(ToString::to_string).collect(), runs }
    }
}

impl PlacementRecord {
    /// Returns the table; `version` is the store's revision of the record.
    pub fn into_placement(self, version: Version) -> Result<Placement, Malformed> {
        let slots: usize = self.runs.iter().map(|(_, length)| usize::from(*length)).sum();
        if slots != SLOTS {
            return Err(InvalidPlacement::Incomplete(slots).into());
        }
        let owners = self
            .runs
            .iter()
            .flat_map(|(owner, length)| std::iter::repeat_n(*owner, usize::from(*length)))
            .collect();
        let cells = self.cells.iter().map(|cell| cell.parse()).collect::<Result<_, _>>()?;
        Ok(Placement::try_new(version, cells, owners)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_as_it_was_written() {
        let weights = [("c1".parse().unwrap(), 1), ("c2".parse().unwrap(), 2)].into();
        let placement = Placement::plan(&weights, Version(9));
        let record = PlacementRecord::from(&placement);
        assert_eq!(record.into_placement(Version(9)).unwrap(), placement);
    }

    #[test]
    fn runs_that_do_not_add_up_are_refused() {
        let record = PlacementRecord { cells: vec!["c1".to_owned()], runs: vec![(0, 9)] };
        assert!(matches!(
            record.into_placement(Version(1)),
            Err(Malformed::Placement(InvalidPlacement::Incomplete(9)))
        ));
    }
}
