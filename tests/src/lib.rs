//! What the whole-platform tests share: a real platform on addresses of its own, and a user of it.
//! And [`sim`], a cell in virtual time.

pub mod platform;
pub mod sim;
pub mod user;

pub use platform::Platform;
pub use user::{Answer, User};
