//! Faults that meet: what it takes, together and in this order, to come near a rule's edge. Chance
//! alone would need very many schedules for some of them.

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

use super::schedule::{Cut, Fault, Kind, Way, Who};

const A: Who = Who::Active;
const B: Who = Who::Other(0);
const C: Who = Who::Other(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// The active site lives by one voter's promise, and that voter restarts.
    Promise,
    /// The active site has no promise and is away from etcd for about as long as is borne, while the
    /// control planes read old news.
    Blink,
    /// etcd answers late, the active site has no promise, and its agent stands still meanwhile.
    Late,
    /// The active site dies with the one voter that has everything.
    Half,
    /// A voter is away for so long that it leaves, comes back, and alone has what is written then.
    Leave,
    /// The same, while its agent goes on promising, and the record's change goes unanswered.
    Unanswered,
    /// A voter comes back while the record's change that lets it go has no answer.
    Unsettled,
    /// The active site writes what nobody else has, restarts in place, and dies.
    Alone,
    /// The active site stands still until another has taken over.
    Frozen,
    /// A voter crashes in the middle of an election, and hears old news.
    Forget,
    /// A winner does not hear of its election until about when somebody takes over, and reads old news then.
    Unheard,
    /// A winner dies while it opens its epoch, and comes back as a standby.
    Twice,
    /// A planned move is given up because the active site, to which its voters promise nothing at that
    /// moment, does not hear of it.
    Aborted,
    /// People keep a voter out while what it would be needed for happens, and let it in again.
    KeptOut,
    /// The active site has a slow disk and hands over, and its gateway stands still at that moment.
    SlowDisk,
    /// A voter that has missed much comes back with a slow disk when the one that has it leaves.
    Behind,
    /// Control planes leave a site that is slow and healthy, and something else goes wrong meanwhile.
    Gray,
}

impl Theme {
    /// What schedules of chance are mixed with. `Aborted`, `Behind`, `KeptOut` and `SlowDisk` lead past some
    /// rules each, and are run for that alone; so is `Gray`, which takes more than a minute.
    pub const ALL: [Self; 12] = [
        Self::Promise,
        Self::Blink,
        Self::Late,
        Self::Half,
        Self::Leave,
        Self::Unanswered,
        Self::Unsettled,
        Self::Alone,
        Self::Frozen,
        Self::Forget,
        Self::Unheard,
        Self::Twice,
    ];

    /// Returns how long it takes at most, in milliseconds.
    #[must_use]
    pub fn takes(self) -> u64 {
        match self {
            Self::Leave | Self::Unanswered | Self::Unsettled | Self::Behind | Self::KeptOut => {
                26_500
            }
            Self::Twice => 16_000,
            Self::Gray => 98_000,
            Self::Promise
            | Self::SlowDisk
            | Self::Blink
            | Self::Late
            | Self::Half
            | Self::Alone
            | Self::Frozen
            | Self::Forget
            | Self::Unheard
            | Self::Aborted => 11_000,
        }
    }

    /// Returns the faults, from `at` on.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "an arm for each theme, read by itself")]
    pub fn faults(self, at: u64, rng: &mut Xoshiro256PlusPlus) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add = |after: u64, lasts: u64, kind: Kind| {
            faults.push(Fault { at: at + after, lasts, kind });
        };
        let mut some = |from: u64, to: u64| rng.random_range(from..to);
        match self {
            Self::Promise => {
                add(0, 9_000, Kind::Cut(Cut::FromEtcd(A), Way::Both));
                add(some(0, 800), 9_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(2_500, 5_500), some(50, 400), Kind::CrashSite(B));
            }
            Self::Blink => {
                add(0, 9_000, Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(0, 9_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(0, 2_000), 8_000, Kind::EtcdStale);
                if some(0, 2) == 0 {
                    add(some(0, 900), some(1_500, 3_000), Kind::Cut(Cut::FromEtcd(A), Way::Both));
                } else {
                    add(some(2_000, 3_000), 8_000, Kind::Cut(Cut::FromControllers(A), Way::Both));
                }
            }
            Self::Late => {
                add(0, 9_000, Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(0, 9_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(0, 9_000, Kind::Slow(some(60, 180)));
                add(some(2_200, 4_000), some(1_200, 3_500), Kind::StopAgent(A));
            }
            Self::Half => {
                add(0, some(2_000, 2_900), Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(some(1_000, 1_900), some(4_000, 6_000), Kind::CrashSite(C));
                add(some(1_000, 1_950), some(4_000, 6_000), Kind::CrashSite(A));
            }
            Self::Leave => {
                // Three seconds until the stream counts as broken, ten until it leaves.
                let away = some(13_500, 15_000);
                add(0, away, Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(away + some(0, 1_500), 6_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(away + some(1_000, 3_500), some(5_000, 8_000), Kind::CrashSite(A));
            }
            Self::Unanswered => {
                add(0, 18_000, Kind::StopPostgres(B));
                let lost = some(12_300, 14_600);
                add(lost, 6_000, Kind::Cut(Cut::FromEtcd(A), Way::In));
                add(lost, 6_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
            }
            Self::Unsettled => {
                let etcd = some(11_000, 13_000);
                add(0, some(14_000, 15_500), Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(etcd, some(5_000, 6_500), Kind::EtcdStop);
                add(some(15_800, 16_700), 6_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(16_800, 18_000), some(5_000, 8_000), Kind::CrashSite(A));
            }
            Self::Alone => {
                add(0, some(4_000, 5_000), Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(0, some(4_000, 5_000), Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(200, 2_500), 0, Kind::CrashPostgres(A));
                add(some(2_700, 4_000), some(3_000, 6_000), Kind::CrashSite(A));
            }
            Self::Frozen => {
                let lasts = some(2_500, 6_000);
                let at = some(0, 500);
                match some(0, 3) {
                    0 => add(at, lasts, Kind::StopSite(A)),
                    1 => {
                        add(at, lasts, Kind::StopAgent(A));
                        add(at + some(0, 1_500), lasts, Kind::StopGateway(A));
                    }
                    _ => {
                        add(at, lasts, Kind::Cut(Cut::Region(A), Way::Both));
                        add(at + some(0, 2_000), lasts, Kind::StopSite(A));
                    }
                }
            }
            Self::Forget => {
                add(0, some(3_000, 7_000), Kind::StopAgent(A));
                add(some(500, 2_000), 7_000, Kind::EtcdStale);
                add(some(1_900, 3_000), some(50, 300), Kind::CrashSite(B));
                add(some(1_900, 3_000), some(50, 2_000), Kind::CrashSite(C));
            }
            Self::Unheard => {
                let moved = some(200, 1_000);
                add(moved - 100, some(1_800, 2_600), Kind::Cut(Cut::FromEtcd(B), Way::Both));
                add(moved, 0, Kind::Switchover(B));
                // By then it is the active one.
                add(moved + some(400, 900), 6_000, Kind::Cut(Cut::FromControllers(A), Way::Both));
                add(moved + some(1_000, 1_800), 4_000, Kind::EtcdStale);
            }
            Self::Twice => {
                // Wins again as its own predecessor, alone, and is gone before anybody follows.
                add(0, some(3_000, 5_000), Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(0, some(3_000, 5_000), Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(100, 800), 0, Kind::Switchover(B));
                add(some(3_000, 4_200), some(3_500, 4_500), Kind::CrashSite(A));
                add(some(9_500, 14_000), 0, Kind::Switchover(if some(0, 2) == 0 { B } else { C }));
                add(some(9_500, 14_000), some(500, 4_000), Kind::CrashSite(A));
            }
            Self::Aborted => {
                // Promises last two seconds, streams and what is said of them three.
                let moved = some(1_400, 2_300);
                for voter in [B, C] {
                    add(0, moved + 1_000, Kind::Cut(Cut::Sites(A, voter), Way::Both));
                }
                add(moved, 0, Kind::Switchover(B));
                add(moved + some(0, 40), 5_000, Kind::Cut(Cut::FromEtcd(A), Way::Both));
            }
            Self::SlowDisk => {
                let (moved, to) = (some(500, 2_000), if some(0, 2) == 0 { B } else { C });
                add(0, some(4_000, 8_000), Kind::SlowDisk(A, some(50, 900)));
                add(moved, 0, Kind::Switchover(to));
                // It has less than the other voter, that what is acknowledged may rest on.
                if some(0, 2) == 0 {
                    add(moved.saturating_sub(500), 3_000, Kind::SlowDisk(to, some(100, 900)));
                }
                match some(0, 3) {
                    0 => {}
                    1 => add(moved + some(0, 900), some(20, 600), Kind::StopGateway(A)),
                    _ => add(moved + some(0, 900), some(300, 4_000), Kind::StopGateway(A)),
                }
                if some(0, 4) == 0 {
                    add(moved + some(300, 1_500), some(500, 3_000), Kind::CrashSite(to));
                }
            }
            // It is kept out, and is back, while the record's change that lets it go has no answer.
            Self::KeptOut if some(0, 3) == 0 => {
                let etcd = some(11_000, 13_000);
                add(0, some(14_000, 15_500), Kind::Cut(Cut::Sites(A, B), Way::Both));
                add(some(10_500, 13_000), some(5_000, 8_000), Kind::Cut(Cut::FromEtcd(A), Way::In));
                add(etcd, some(3_000, 9_000), Kind::KeepOut(B));
                add(some(14_800, 17_500), 6_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(15_800, 18_500), some(5_000, 8_000), Kind::CrashSite(A));
            }
            Self::KeptOut => {
                add(0, some(6_000, 10_000), Kind::KeepOut(B));
                match some(0, 5) {
                    0 => add(some(0, 1_500), some(2_000, 6_000), Kind::CrashSite(A)),
                    1 => {
                        add(0, some(2_000, 5_000), Kind::Cut(Cut::Sites(A, C), Way::Both));
                        add(some(500, 4_000), some(2_000, 6_000), Kind::CrashSite(A));
                    }
                    2 => {
                        add(some(100, 1_200), some(2_000, 5_000), Kind::EtcdStop);
                        add(some(500, 2_500), 4_000, Kind::Cut(Cut::Sites(A, C), Way::Both));
                        add(some(2_500, 5_000), some(3_000, 6_000), Kind::CrashSite(A));
                    }
                    3 => {
                        add(some(0, 900), some(2_000, 4_000), Kind::Cut(Cut::FromEtcd(A), Way::In));
                        add(some(900, 2_500), some(2_000, 6_000), Kind::CrashSite(C));
                    }
                    _ => {
                        add(some(0, 1_500), some(1_000, 4_000), Kind::StopSite(A));
                        add(some(1_500, 4_000), 0, Kind::Switchover(C));
                    }
                }
                // About when it joins again.
                add(some(6_000, 13_000), some(2_000, 6_000), Kind::CrashSite(A));
                add(some(9_000, 16_000), some(500, 8_000), Kind::CrashSite(C));
            }
            Self::Gray => {
                // In their first minute control planes leave a cell that serves where it is.
                let slow = some(61_000, 64_000);
                add(slow, some(20_000, 30_000), Kind::SlowGateway(A, some(1_200, 3_000)));
                let moved = slow + some(7_000, 18_000);
                match some(0, 6) {
                    0 => {
                        let view = Cut::View(usize::from(some(0, 2) == 0));
                        add(slow + some(0, 9_000), some(3_000, 12_000), Kind::Cut(view, Way::Both));
                    }
                    1 => add(moved, some(1_000, 6_000), Kind::CrashSite(B)),
                    2 => add(moved, some(1_000, 6_000), Kind::CrashSite(A)),
                    3 => add(moved, some(500, 4_000), Kind::EtcdStop),
                    4 => add(moved, 0, Kind::Switchover(C)),
                    _ => add(moved, some(1_000, 6_000), Kind::StopController(0)),
                }
                match some(0, 4) {
                    0 => add(moved + some(0, 2_000), some(300, 3_000), Kind::StopGateway(A)),
                    1 => add(moved, some(1_000, 6_000), Kind::SlowDisk(A, some(50, 900))),
                    2 => add(moved + some(0, 2_000), some(1_000, 5_000), Kind::Slow(some(20, 400))),
                    _ => {}
                }
            }
            Self::Behind => {
                let back = some(14_500, 15_500);
                add(0, back, Kind::Cut(Cut::Sites(A, C), Way::Both));
                add(some(3_300, 3_900), 20_000, Kind::CrashSite(B));
                add(back - 1_000, 5_000, Kind::SlowDisk(C, 3_000));
                add(back + some(400, 2_000), some(5_000, 8_000), Kind::CrashSite(A));
            }
        }
        faults
    }
}
