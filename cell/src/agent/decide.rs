//! What a site may do, decided without doing anything: pure, driven by facts and `now`.

pub mod ahead;
#[cfg(test)]
pub(crate) mod fixture;
pub mod flush;
pub mod folder;
pub mod lag;
pub mod line;
pub(crate) mod pace;
pub(crate) mod restart;
pub mod right;
pub mod role;
pub mod room;
pub mod successor;
pub mod sync_set;
pub mod tenure;
pub mod voter;
