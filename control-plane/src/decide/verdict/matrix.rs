//! Vantages × sites: what the control planes together make of a site.
//!
//! ```text
//!             c1@east  c2@north  c3@south
//!   east         -        ok        ok        a column that is bad from everywhere else: the site
//!   north       BAD       -         ok        a row that is bad for sites others see well: the observer
//!   south       BAD       ok        -
//! ```
//!
//! A vantage in the site's own region does not count: what takes the region away from the rest may
//! leave it seeing itself. Nor does one that has gone silent, or whose row is bad.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use topology::wire::vantage::Health;
use topology::{CellId, RegionId, SiteId};

use crate::decide::state::{SeenSite, SeenVantage};
use crate::decide::{Policy, State};

/// What all fresh vantages see, at one moment.
pub struct Matrix<'a> {
    state: &'a State,
    policy: &'a Policy,
    now: Instant,
    /// Worked out when first asked for: while all is well nobody does.
    blind: OnceCell<Blind>,
}

/// Vantages whose row is bad, and the regions that each alone sees badly.
type Blind = BTreeMap<RegionId, BTreeSet<RegionId>>;

/// What the vantages that count see of one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column<'a> {
    /// Each vantage, how it sees the site, and since when.
    seen: Vec<(&'a RegionId, Health, Option<Instant>)>,
}

/// What a majority of a column agrees on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The mildest of what they say.
    pub health: Health,
    pub since: Instant,
    pub by: usize,
    pub of: usize,
}

impl<'a> Matrix<'a> {
    #[must_use]
    pub fn new(state: &'a State, policy: &'a Policy, now: Instant) -> Self {
        Self { state, policy, now, blind: OnceCell::new() }
    }

    /// The vantages whose word is recent; this one's always is.
    pub fn fresh(&self) -> impl Iterator<Item = &'a RegionId> {
        let (state, policy, now) = (self.state, self.policy, self.now);
        let others = state
            .vantages()
            .iter()
            .filter(move |(vantage, seen)| **vantage != policy.vantage && seen.is_fresh(now));
        std::iter::once(&policy.vantage).chain(others.map(|(vantage, _)| vantage))
    }

    /// Returns the vantages whose row is bad, and the regions that each alone sees badly.
    #[must_use]
    pub fn blind(&self) -> &Blind {
        self.blind.get_or_init(|| {
            let rows = self.fresh().filter_map(|vantage| {
                let alone = self.seen_badly_by_it_alone(vantage);
                (alone.len() > 1).then(|| (vantage.clone(), alone))
            });
            rows.collect()
        })
    }

    /// Returns since when this vantage has seen sites of several regions badly.
    #[must_use]
    pub fn blind_since(&self) -> Option<Instant> {
        let mut firsts: BTreeMap<&RegionId, Instant> = BTreeMap::new();
        for site in self.bad(&self.policy.vantage) {
            let since = self.sight(&self.policy.vantage, site).1?;
            let first = firsts.entry(&site.region).or_insert(since);
            *first = since.min(*first);
        }
        let mut firsts: Vec<Instant> = firsts.into_values().collect();
        firsts.sort_unstable();
        firsts.get(1).copied()
    }

    /// Returns what a vantage sees of a site, and since when.
    #[must_use]
    pub fn sight(&self, vantage: &RegionId, site: &SiteId) -> (Health, Option<Instant>) {
        if *vantage == self.policy.vantage {
            let seen = self.state.sites().get(site);
            return seen.map_or((Health::Unknown, None), SeenSite::health);
        }
        let row = self.state.vantages().get(vantage);
        let sighted = row.and_then(|row| row.sites().get(site));
        sighted.map_or((Health::Unknown, None), |it| (it.health(), Some(it.since)))
    }

    /// Returns what the vantages see whose word on the site counts. With none of them there, this one's
    /// does.
    #[must_use]
    pub fn column(&self, site: &SiteId) -> Column<'a> {
        let outside = self
            .fresh()
            .filter(|vantage| **vantage != site.region && !self.blind().contains_key(*vantage));
        let column = self.read(outside, site);
        if column.seen.is_empty() {
            let policy = self.policy;
            return self.read(std::iter::once(&policy.vantage), site);
        }
        column
    }

    /// Returns what most of those vantages hold against a site.
    #[must_use]
    pub fn agreed(&self, cell: &CellId, region: &RegionId) -> Option<Agreed> {
        self.column(&site(cell, region)).agreed(Health::is_bad)
    }

    /// Returns since when, and from where, a site's agent does not answer.
    #[must_use]
    pub fn unreachable(&self, cell: &CellId, region: &RegionId) -> Option<Agreed> {
        self.column(&site(cell, region)).agreed(|health| health == Health::Unreachable)
    }

    fn read<'b>(&self, vantages: impl Iterator<Item = &'b RegionId>, site: &SiteId) -> Column<'b> {
        let seen = vantages.filter_map(|vantage| {
            let (health, since) = self.sight(vantage, site);
            // Who does not know abstains.
            (health != Health::Unknown).then_some((vantage, health, since))
        });
        Column { seen: seen.collect() }
    }

    /// Returns the regions with a site that this vantage sees badly and most others do not.
    fn seen_badly_by_it_alone(&self, vantage: &RegionId) -> BTreeSet<RegionId> {
        let contradicted = |site: &SiteId| {
            let others = self.fresh().filter(|other| *other != vantage && **other != site.region);
            let others = self.read(others, site);
            !others.seen.is_empty() && others.agreed(Health::is_bad).is_none()
        };
        let bad = self.bad(vantage).into_iter();
        bad.filter(|site| contradicted(site)).map(|site| site.region.clone()).collect()
    }

    /// Returns the sites that a vantage sees badly.
    fn bad(&self, vantage: &RegionId) -> Vec<&'a SiteId> {
        if *vantage == self.policy.vantage {
            let sites = self.state.sites().iter();
            return sites.filter(|(_, seen)| seen.health().0.is_bad()).map(|(id, _)| id).collect();
        }
        let row = self.state.vantages().get(vantage);
        let sites = row.into_iter().flat_map(SeenVantage::sites);
        sites.filter(|(_, sighted)| sighted.health().is_bad()).map(|(id, _)| id).collect()
    }
}

impl Column<'_> {
    /// Returns whether a vantage's word counts.
    #[must_use]
    pub fn counts(&self, vantage: &RegionId) -> bool {
        self.seen.iter().any(|(one, ..)| *one == vantage)
    }

    /// Returns what more than half hold against the site, and since when more than half have.
    #[must_use]
    pub fn agreed(&self, is_against: impl Fn(Health) -> bool) -> Option<Agreed> {
        let mut against: Vec<(Health, Instant)> = self
            .seen
            .iter()
            .filter(|(_, health, _)| is_against(*health))
            .filter_map(|(_, health, since)| Some((*health, (*since)?)))
            .collect();
        let (by, of) = (against.len(), self.seen.len());
        if by * 2 <= of {
            return None;
        }
        let health = against.iter().map(|(health, _)| *health).min()?;
        against.sort_by_key(|(_, since)| *since);
        let (_, since) = against[of / 2];
        Some(Agreed { health, since, by, of })
    }
}

pub(crate) fn site(cell: &CellId, region: &RegionId) -> SiteId {
    SiteId { cell: cell.clone(), region: region.clone() }
}
