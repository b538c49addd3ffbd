//! Stops processes for a while without ending them: one by one with a signal, or all at once in a
//! cgroup. Whoever freezes has it in the journal first, so that nothing stays frozen.

mod cgroup;
mod signal;

pub(crate) use cgroup::{Cgroup, freeze_trees, of_drills};
pub(crate) use signal::{stop_one, stop_trees};
