//! What goes wrong, and when: made from a seed, and made smaller while it still fails.

use std::fmt;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::theme::Theme;

/// How many sites the cell has.
pub const SITES: usize = 3;
/// Before this, everything is being started.
const BEGIN: u64 = 3_000;

/// A site, named by its part at the moment the fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Active,
    /// The first or second of the others.
    Other(usize),
}

/// Which directions are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Both,
    Out,
    In,
}

/// What is cut from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The site and its region's control plane, from all others.
    Region(Who),
    Sites(Who, Who),
    FromEtcd(Who),
    FromUsers(Who),
    FromControllers(Who),
    /// One control plane from every site; it and etcd still hear of each other.
    View(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    StopAgent(Who),
    StopPostgres(Who),
    StopGateway(Who),
    /// All of a machine stands still, as while it is suspended.
    StopSite(Who),
    /// Down until the fault ends.
    CrashSite(Who),
    CrashPostgres(Who),
    /// Up to so many milliseconds more for each flush.
    SlowDisk(Who, u64),
    /// So many milliseconds more for everything at the gateway.
    SlowGateway(Who, u64),
    StopController(usize),
    CrashController(usize),
    Cut(Cut, Way),
    Loss(u32),
    Duplicates(u32),
    /// Up to so many milliseconds more for each message.
    Slow(u64),
    EtcdElection,
    EtcdStop,
    EtcdCrash,
    EtcdStale,
    Switchover(Who),
    /// People keep a standby out of the cell, and let it in again when the fault ends.
    KeepOut(Who),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In milliseconds.
    pub at: u64,
    pub lasts: u64,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Of everything that is not in the list: delays, clocks, what users do.
    pub seed: u64,
    /// When everything is healed, in milliseconds.
    pub ends: u64,
    pub faults: Vec<Fault>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} ms, for {:>5} ms: {:?}", self.at, self.lasts, self.kind)
    }
}

impl Schedule {
    /// Makes the schedule of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed_0ffa);
        // A few schedules are long enough for a voter to leave and come back.
        let long = rng.random_ratio(1, 4);
        let ends: u64 =
            if long { rng.random_range(30_500..36_000) } else { rng.random_range(9_000..20_000) };
        let flavour = rng.random_range(0..6);
        let count = rng.random_range(2..(if long { 12 } else { 9 }));
        let mut faults: Vec<Fault> = (0..count)
            .map(|_| {
                let kind = kind(&mut rng, flavour);
                let at = rng.random_range(BEGIN..ends - 1_500);
                let lasts = lasts(&mut rng, kind).min(ends - at);
                Fault { at, lasts, kind }
            })
            .collect();
        if long {
            let kind = if rng.random() {
                Kind::CrashSite(Who::Other(rng.random_range(0..2)))
            } else {
                Kind::Cut(Cut::Region(Who::Other(rng.random_range(0..2))), Way::Both)
            };
            let at = rng.random_range(BEGIN..7_000);
            faults.push(Fault { at, lasts: rng.random_range(11_000..16_000), kind });
        }
        if rng.random_ratio(1, 2) {
            let theme = Theme::ALL[rng.random_range(0..Theme::ALL.len())];
            if theme.takes() + BEGIN < ends {
                let at = rng.random_range(BEGIN..=ends - theme.takes());
                faults.extend(theme.faults(at, &mut rng));
            }
        }
        faults.sort_by_key(|fault| fault.at);
        Self { seed, ends, faults }
    }

    /// Makes a schedule of one theme and nothing else.
    #[must_use]
    pub fn of_theme(seed: u64, theme: Theme) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut faults = theme.faults(rng.random_range(BEGIN..BEGIN + 1_000), &mut rng);
        faults.sort_by_key(|fault| fault.at);
        let ends = faults.iter().map(|fault| fault.at + fault.lasts).max().unwrap_or(BEGIN);
        Self { seed, ends, faults }
    }

    /// Returns the schedule without one of its faults.
    #[must_use]
    pub fn without(&self, index: usize) -> Self {
        let mut smaller = self.clone();
        smaller.faults.remove(index);
        smaller
    }
}

fn who(rng: &mut Xoshiro256PlusPlus) -> Who {
    match rng.random_range(0..10) {
        0..5 => Who::Active,
        5..8 => Who::Other(0),
        _ => Who::Other(1),
    }
}

fn way(rng: &mut Xoshiro256PlusPlus) -> Way {
    match rng.random_range(0..4) {
        0 => Way::Out,
        1 => Way::In,
        _ => Way::Both,
    }
}

/// Each flavour of schedule prefers faults of one kind, so that they meet.
fn kind(rng: &mut Xoshiro256PlusPlus, flavour: u32) -> Kind {
    let theme = if rng.random_ratio(2, 3) { flavour } else { rng.random_range(0..6) };
    let who = who(rng);
    let way = way(rng);
    let controller = rng.random_range(0..SITES);
    match (theme, rng.random_range(0..4)) {
        (0, 0) => Kind::StopAgent(who),
        (0, 1) => Kind::StopPostgres(who),
        (0, 2) => Kind::StopSite(who),
        (0, _) => Kind::StopGateway(who),
        (1, 0 | 1) => Kind::CrashSite(who),
        (1, 2) => Kind::CrashPostgres(who),
        (1, _) => Kind::CrashController(controller),
        (2, 0) => Kind::Cut(Cut::Region(who), way),
        (2, 1) => {
            let other = rng.random_range(0..2);
            let one = if who == Who::Other(other) { Who::Active } else { who };
            Kind::Cut(Cut::Sites(one, Who::Other(other)), way)
        }
        (2, 2) => Kind::Cut(Cut::FromControllers(who), way),
        (2, _) => Kind::Cut(Cut::FromUsers(who), way),
        (3, 0) => Kind::EtcdElection,
        (3, 1) => Kind::Cut(Cut::FromEtcd(who), way),
        (3, 2) => {
            if rng.random() {
                Kind::EtcdStop
            } else {
                Kind::EtcdCrash
            }
        }
        (3, _) => Kind::EtcdStale,
        (4, 0) => Kind::Loss(rng.random_range(1..20)),
        (4, 1) => Kind::Slow(rng.random_range(20..900)),
        (4, 2) => Kind::SlowDisk(who, 400),
        (4, _) => Kind::Duplicates(rng.random_range(1..40)),
        (_, 0) => Kind::StopController(controller),
        (_, _) => Kind::Switchover(Who::Other(rng.random_range(0..2))),
    }
}

fn lasts(rng: &mut Xoshiro256PlusPlus, kind: Kind) -> u64 {
    match kind {
        Kind::EtcdElection => rng.random_range(300..1_500),
        Kind::EtcdStale => rng.random_range(500..4_000),
        Kind::Switchover(_) | Kind::CrashPostgres(_) => 0,
        Kind::CrashSite(_) | Kind::CrashController(_) if rng.random() => {
            rng.random_range(100..2_500)
        }
        Kind::StopAgent(_)
        | Kind::StopPostgres(_)
        | Kind::StopGateway(_)
        | Kind::StopSite(_)
        | Kind::CrashSite(_)
        | Kind::SlowDisk(..)
        | Kind::SlowGateway(..)
        | Kind::StopController(_)
        | Kind::CrashController(_)
        | Kind::Cut(..)
        | Kind::Loss(_)
        | Kind::Duplicates(_)
        | Kind::Slow(_)
        | Kind::KeepOut(_)
        | Kind::EtcdStop
        | Kind::EtcdCrash => rng.random_range(400..7_000),
    }
}
