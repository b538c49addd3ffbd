//! The nouns of Bulkhead: regions, cells, sites, slots, epochs, and what routes between them.
//!
//! Pure: no network, no clock, no runtime. Everything here is a value; what waits or talks lives in
//! `runtime`, `client` and the programs. Read the modules in the order they are listed.

pub mod id;

pub mod epoch;
pub mod slot;

pub mod place;

pub mod placement;

pub mod cause;

pub mod activation;

pub mod automatic;

pub mod snapshot;

pub mod spec;

pub mod address;

pub mod public_id;

pub mod role;

pub mod invariant;

pub mod wire;

pub use activation::{Activation, Phase};
pub use cause::{Cause, Failure};
pub use epoch::{Epoch, Version};
pub use id::{CellId, InvalidId, RegionId, SiteId};
pub use place::Place;
pub use placement::Placement;
pub use role::Role;
pub use slot::{SLOTS, Slot};
pub use snapshot::Snapshot;
pub use spec::Spec;
