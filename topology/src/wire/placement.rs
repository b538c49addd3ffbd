//! `placement`: slot → cell, run by run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::placement::InvalidPlacement;
use crate::{Placement, SLOTS, Version};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementRecord {
    pub cells: Vec<String>,
    /// `[index into cells, how many slots in a row]`, from slot 0 on.
    pub runs: Vec<(u16, u16)>,
    /// user → cell, of users who live apart from their slot. Written only once every router and
    /// gateway reads it: to those that do not, the users still live with their slot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, String>,
    /// How many slots this table may move at once, where a person has let it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted_moves: Option<usize>,
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
        let apart = placement.overrides();
        Self {
            cells: placement.cells().iter().map(ToString::to_string).collect(),
            runs,
            overrides: apart.map(|(user, cell)| (user.to_owned(), cell.to_string())).collect(),
            permitted_moves: Some(placement.permitted()).filter(|moves| *moves > 0),
        }
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
        let placement = Placement::try_new(version, cells, owners)?;
        let placement = placement.permitting(self.permitted_moves.unwrap_or(0));
        self.overrides.iter().try_fold(placement, |placement, (user, cell)| {
            Ok(placement.with_override(user, &cell.parse()?)?)
        })
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
    fn users_who_live_apart_and_a_persons_word_are_written_too_and_nothing_is_where_there_is_none()
    {
        let cells: Vec<crate::CellId> = vec!["c1".parse().unwrap(), "c2".parse().unwrap()];
        let to = cells[1].clone();
        let plain = Placement::try_new(Version(9), cells, vec![0; SLOTS]).unwrap();
        let text = serde_json::to_string(&PlacementRecord::from(&plain)).unwrap();
        assert_eq!(text, r#"{"cells":["c1","c2"],"runs":[[0,16384]]}"#);
        let placement = plain.with_override("ada", &to).unwrap().permitting(9000);
        let record = PlacementRecord::from(&placement);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.ends_with(r#","overrides":{"ada":"c2"},"permitted_moves":9000}"#), "{text}");
        let read: PlacementRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read.into_placement(Version(9)).unwrap(), placement);
    }

    #[test]
    fn a_user_apart_in_a_cell_that_is_not_listed_is_refused() {
        let record: PlacementRecord = serde_json::from_str(
            r#"{"cells": ["c1"], "runs": [[0, 16384]], "overrides": {"ada": "c9"}}"#,
        )
        .unwrap();
        assert!(matches!(
            record.into_placement(Version(1)),
            Err(Malformed::Placement(InvalidPlacement::UnlistedCell(_)))
        ));
    }

    #[test]
    fn runs_that_do_not_add_up_are_refused() {
        let record: PlacementRecord =
            serde_json::from_str(r#"{"cells": ["c1"], "runs": [[0, 9]]}"#).unwrap();
        assert!(matches!(
            record.into_placement(Version(1)),
            Err(Malformed::Placement(InvalidPlacement::Incomplete(9)))
        ));
    }
}
