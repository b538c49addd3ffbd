//! What the whole-platform tests share: a real platform on addresses of its own, and a user of it.
//! And [`sim`], a cell in virtual time.

pub mod drill;
pub mod json;
pub mod platform;
pub mod sim;
pub mod small_disk;
pub mod user;

pub use platform::Platform;
pub use small_disk::SmallDisk;
pub use user::{Answer, User};
