//! Pure: what the bot does in a turn, and whether a neighbour is asked at all.

pub mod breaker;
pub mod turn;
