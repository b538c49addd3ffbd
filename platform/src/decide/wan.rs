//! The emulated WAN: which packet leaves when, twice, or not at all.
//!
//! Pure: time is handed in, and so is chance. A packet goes one way, between two ends; each way has
//! a distance, and policies add to it what they say until their time is over.
//!
//! ```text
//! packet ─▶ cut? ─▶ lost? ─▶ rate: waits its turn ─▶ distance ± jitter ─▶ leaves, in order
//!             └───────┴─▶ dropped                         └─▶ overtakes, or leaves twice
//! ```

mod packet;
mod policy;
mod way;

pub(crate) use packet::Packet;
pub(crate) use policy::{Policies, Policy};
pub(crate) use way::{Fate, Ways};

/// An end by its number.
pub(crate) type EndId = usize;

#[cfg(test)]
mod tests;
