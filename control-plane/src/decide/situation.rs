//! What is worth remembering of a cell though nothing may have been decided: that its active site is
//! gray, that it is left there, that a site comes and goes, or that this observer is not to be believed.
//! Pure.

use std::collections::BTreeSet;
use std::mem::discriminant;

use topology::{CellId, RegionId};

use super::automatic::Held;
use super::state::SeenCell;
use super::verdict::matrix::{Matrix, site};
use super::verdict::{Judgement, Verdict, World, gray};

/// A cell as one observer sees it; the usual one is not worth a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    trouble: Trouble,
    /// Sites that come and go.
    flapping: BTreeSet<RegionId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// The active site is alive and of little use, and the cell is being moved.
    Gray,
    /// The same, and the cell stays.
    Left(Held),
    /// It looks bad from here, and that moves nothing.
    Undecided(Doubt),
}

/// Why nothing is decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// etcd cannot be read: others may know better.
    Unread,
    /// Others see well what this observer sees badly.
    Blind,
}

/// Something to remember: what, in a word, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    pub what: &'static str,
    pub reason: String,
}

impl Situation {
    #[must_use]
    pub fn of(
        cell: &CellId,
        seen: &SeenCell,
        judgement: &Judgement,
        matrix: &Matrix<'_>,
        world: World<'_>,
    ) -> Self {
        let World { state, policy, now } = world;
        let sites = state.sites_of(cell).filter(|(_, site)| site.flapping_since(now).is_some());
        let flapping = sites.map(|(id, _)| id.region.clone()).collect();
        let looks_bad = judgement
            .active
            .as_ref()
            .is_some_and(|active| matrix.sight(&policy.vantage, &site(cell, active)).0.is_bad());
        let trouble = if looks_bad && !state.is_fresh(now) {
            Trouble::Undecided(Doubt::Unread)
        } else if looks_bad && matrix.blind().contains_key(&policy.vantage) {
            Trouble::Undecided(Doubt::Blind)
        } else if judgement.verdict == Verdict::Gray {
            let held = gray::held(cell, seen, judgement, matrix, world);
            held.map_or(Trouble::Gray, Trouble::Left)
        } else {
            Trouble::None
        };
        Self { trouble, flapping }
    }

    /// Returns what has changed since `before`. That a reason to stay counts another second is no change.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Memory> {
        let trouble = (!self.trouble.is_like(&before.trouble)).then(|| self.trouble.memory());
        let begun = self.flapping.difference(&before.flapping).map(|region| Memory {
            what: "flapping",
            reason: format!("the site in {region} comes and goes: no planned move goes there"),
        });
        let over = before.flapping.difference(&self.flapping).map(|region| Memory {
            what: "over",
            reason: format!("the site in {region} has stayed for a while"),
        });
        trouble.into_iter().chain(begun).chain(over).collect()
    }
}

impl Trouble {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Left(why), Self::Left(other)) => discriminant(why) == discriminant(other),
            (one, other) => one == other,
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::None => "over",
            Self::Gray => "gray",
            Self::Left(_) => "left",
            Self::Undecided(_) => "undecided",
        }
    }

    fn memory(&self) -> Memory {
        let reason = match self {
            Self::None => "the active site is as it should be, or another one is".to_owned(),
            Self::Gray => "the active site is alive and of little use: the cell moves".to_owned(),
            Self::Left(held) => {
                format!("the active site is alive and of little use, and the cell stays: {held}")
            }
            Self::Undecided(Doubt::Unread) => {
                "the active site looks bad, and etcd cannot be read: nothing is decided here"
                    .to_owned()
            }
            Self::Undecided(Doubt::Blind) => {
                "the active site looks bad, and others see well what looks bad from here: nothing is \
                 decided here"
                    .to_owned()
            }
        };
        Memory { what: self.what(), reason }
    }
}

#[cfg(test)]
mod tests;
