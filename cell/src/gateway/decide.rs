//! Pure: no clock, no network. What is asked and what is known goes in, the decision comes out.

pub mod admit;
