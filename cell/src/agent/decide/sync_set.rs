//! Which standbys count for a strong commit, changed one safe step at a time.
//!
//! Two sets have to agree, and cannot be changed together: the names PostgreSQL waits for, and the
//! voters in the cell's record who elect a successor. At every moment each set of standbys that can
//! acknowledge must meet each set of voters that can elect (I5):
//!
//! ```text
//! leave:  name without it ─▶ its acknowledgements are over ─▶ the rest has flushed as far ─▶ record
//! join:   record with it ─▶ name with it
//! ```
//!
//! A standby leaves when it is away for long, or when people keep its site out.
//! A crash in between leaves more voters than names: more votes are needed than must be, and nothing
//! else. The next look finds it so and goes on, forwards or back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topology::RegionId;

/// How long a voter may be away before the cell goes on without it: longer than a restart or a
/// planned move takes, short enough that a second loss soon after the first is survived.
pub const AWAY: Duration = Duration::from_secs(10);
/// How far behind a standby may be that begins to count: strong commits wait for it from then on.
const LAG_MAX: u64 = 1024 * 1024;

/// A standby that streams under the epoch's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standby {
    /// Whether PostgreSQL takes its flush for a strong commit at this moment.
    pub counted: bool,
    /// How far it has flushed, and how far that is behind.
    pub flushed: u64,
    pub lag: u64,
}

/// What is known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The voters in the cell's record.
    pub recorded: &'a BTreeSet<RegionId>,
    /// That record has been replaced by one that is not known here yet: perhaps by a change of this site's own
    /// whose answer was lost.
    pub is_replaced: bool,
    /// The standbys PostgreSQL was last told to wait for.
    pub named: &'a BTreeSet<RegionId>,
    /// How many of them must have flushed (`k`).
    pub acks: usize,
    /// All sites of the cell but this one.
    pub others: &'a BTreeSet<RegionId>,
    /// Those that people keep out.
    pub retired: &'a BTreeSet<RegionId>,
    pub standbys: &'a BTreeMap<RegionId, Standby>,
    /// How long each site has not streamed.
    pub away: &'a BTreeMap<RegionId, Duration>,
    /// Where the WAL ended after the leaving standby could acknowledge nothing any more.
    pub sampled: Option<u64>,
}

/// What to do next. Each is safe by itself, and safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Tell PostgreSQL to wait for these.
    Name(BTreeSet<RegionId>),
    /// Note where the WAL ends now.
    Sample,
    /// Write these voters into the cell's record, if it is unchanged.
    Record(BTreeSet<RegionId>),
    /// Read the cell's record: whom it has now decides.
    Read,
}

/// Returns the next step towards a set of standbys that are there, or `None` if there is nothing to
/// do, or to wait for what was begun.
#[must_use]
pub fn next(look: &Look<'_>) -> Option<Step> {
    // Whoever left or joined in the record that is there now is not known: no name and no sample is right.
    if look.is_replaced {
        return Some(Step::Read);
    }
    // Never seen; a name that is not recorded could acknowledge what no election would find.
    if !look.named.is_subset(look.recorded) {
        return Some(Step::Name(look.named.intersection(look.recorded).cloned().collect()));
    }
    match look.recorded.difference(look.named).next() {
        Some(unnamed) if look.is_ready(unnamed) => {
            let mut names = look.named.clone();
            names.insert(unnamed.clone());
            Some(Step::Name(names))
        }
        Some(leaving) => leave(look, leaving),
        None => begin(look),
    }
}

/// Goes on with a standby's leaving, after it is no longer named.
fn leave(look: &Look<'_>, leaving: &RegionId) -> Option<Step> {
    if look.counts(leaving) || !look.is_to_leave(leaving) {
        return None;
    }
    let Some(sampled) = look.sampled else { return Some(Step::Sample) };
    // What it alone had acknowledged is now with as many of the others as a commit needs.
    let flushed = look.named.iter().filter(|region| look.has_flushed(region, sampled)).count();
    (flushed >= look.acks).then(|| Step::Record(without(look.recorded, leaving)))
}

/// Names and record agree: begins a change if one is due.
fn begin(look: &Look<'_>) -> Option<Step> {
    if let Some(joining) =
        look.others.difference(look.recorded).find(|region| look.is_ready(region))
    {
        let mut voters = look.recorded.clone();
        voters.insert(joining.clone());
        return Some(Step::Record(voters));
    }
    let leaving = look.named.iter().find(|region| look.is_to_leave(region))?;
    let rest = without(look.named, leaving);
    // The rest must be able to acknowledge; with too few left, strong commits wait instead.
    let able = rest.iter().filter(|region| look.counts(region)).count();
    (able >= look.acks).then_some(Step::Name(rest))
}

fn without(regions: &BTreeSet<RegionId>, leaving: &RegionId) -> BTreeSet<RegionId> {
    regions.iter().filter(|region| *region != leaving).cloned().collect()
}

impl Look<'_> {
    /// Returns whether a strong commit would come through now.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        self.kept().is_some()
    }

    /// Returns how far enough of the voters for a strong commit have flushed: what every election is
    /// sure to find. `None` while there are too few.
    #[must_use]
    pub fn kept(&self) -> Option<u64> {
        let counting = self.named.iter().filter(|region| self.counts(region));
        let flushed = counting.filter_map(|region| self.standbys.get(region));
        let mut flushed: Vec<u64> = flushed.map(|standby| standby.flushed).collect();
        flushed.sort_unstable_by(|a, b| b.cmp(a));
        flushed.get(self.acks.saturating_sub(1)).copied()
    }

    fn counts(&self, region: &RegionId) -> bool {
        self.standbys.get(region).is_some_and(|standby| standby.counted)
    }

    fn is_ready(&self, region: &RegionId) -> bool {
        !self.retired.contains(region)
            && self.standbys.get(region).is_some_and(|standby| standby.lag <= LAG_MAX)
    }

    fn is_to_leave(&self, region: &RegionId) -> bool {
        self.retired.contains(region)
            || (!self.standbys.contains_key(region)
                && self.away.get(region).is_some_and(|away| *away >= AWAY))
    }

    fn has_flushed(&self, region: &RegionId, position: u64) -> bool {
        self.standbys.get(region).is_some_and(|standby| standby.flushed >= position)
    }
}

#[cfg(test)]
mod tests;
