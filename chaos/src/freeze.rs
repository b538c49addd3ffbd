//! Stops processes for a while without ending them, or lets them have next to nothing: one by one
//! with a signal, or all at once in a cgroup. Whoever freezes has it in the journal first, so that nothing stays frozen.

mod cgroup;
mod cpu;
mod signal;

pub(crate) use cgroup::{Cgroup, disk_limits, freeze_trees, of_drills};
pub(crate) use cpu::starve_trees;
pub(crate) use signal::{stop_one, stop_trees};
