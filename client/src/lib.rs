//! The control plane as its users see it: follow the routing snapshot, hold a lease.
//!
//! Everything here goes on working with etcd gone: the snapshot is served from memory and from
//! disk, and a lease simply stops being extended (I6).

pub mod etcd;
pub mod follow;
mod generation;
pub mod last_known_good;
pub mod lease;
pub mod rollback;

pub use etcd::Etcd;
