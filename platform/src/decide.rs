//! What is to be done, as values: nothing here starts, stops, reads or waits.

pub(crate) mod change;
pub(crate) mod plan;
pub(crate) mod readiness;
pub(crate) mod restart;
pub(crate) mod wan;
