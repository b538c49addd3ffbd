//! What this process does all the time.

pub mod control;
pub mod create;
pub mod elect;
pub mod hands;
pub mod probe;
pub mod read;
pub mod switch;
pub mod vote;
