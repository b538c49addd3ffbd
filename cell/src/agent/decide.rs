//! What a site may do, decided without doing anything: pure, driven by facts and `now`.

pub(crate) mod restart;
pub(crate) mod right;
pub(crate) mod role;
pub(crate) mod sync_set;
pub(crate) mod tenure;
pub(crate) mod voter;
