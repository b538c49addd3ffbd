//! The real barrier in front of a site's services; the router is only an optimisation.
//!
//! ```text
//! request ─▶ room? ─▶ headers ─▶ own slot? ─▶ epoch ─▶ tenure ─▶ work ─▶ still its right? ─▶ answer
//!             503       400        421       421/503    503                     503
//! ```
//!
//! A read that says it may be old is also answered by a site that does not serve, from its own
//! PostgreSQL, marked with how old it may be.
//!
//! Nothing here waits for the control plane or etcd: placement and tenure are what was last heard
//! (I6), and a tenure ends by itself when nobody extends it.

mod barrier;
pub mod caller;
mod canary;
pub mod decide;
mod guard;
mod metrics;
mod pass_on;
pub mod public;
pub mod query;
pub mod refusal;
pub mod secure;
pub mod tenure;

pub use barrier::Barrier;
pub use caller::{Actor, Caller, Permit};
pub use canary::Canary;
pub use decide::admit::{Right, Strength};
pub use guard::{Gateway, guard};
pub use pass_on::PassOn;
