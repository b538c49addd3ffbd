//! Whole-platform tests: every process real, on loopback. Each test has a platform of its own, and
//! they run one after the other: two platforms do not fit on two cores.

mod backup;
mod conversation;
mod drills;
mod forced;
mod mutual;
mod outage;
mod refusals;
mod rejoin;
mod streams;
mod two_regions;
mod voters;
