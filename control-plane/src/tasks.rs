//! What this process does all the time.

pub mod ask;
pub mod control;
pub mod create;
pub mod deeds;
pub mod drills;
pub mod elect;
pub mod fail_over;
pub mod hands;
pub mod hear;
pub mod history;
pub mod lead;
mod mark;
pub mod note;
pub mod operate;
pub mod probe;
pub mod read;
pub mod rehearse;
pub mod remember;
pub mod renewals;
pub mod sight;
pub mod suite;
pub mod switch;
pub mod vote;
pub mod wishes;
