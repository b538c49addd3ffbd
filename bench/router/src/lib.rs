//! What a request costs in the router, beside nginx, HAProxy and Envoy doing the same.
//!
//! Each proxy has one core and one worker, the load and the sites have the other core. All run in
//! turn, round after round, and are compared round by round, so that whatever else the machine does
//! is in all of them. `scripts/bench-router` builds and installs what is needed, and starts this.

pub mod app;
mod figure;
pub mod isolation;
mod load;
mod machine;
mod memory;
mod process;
mod proxy;
mod report;
mod round;
mod shape;
mod sites;
mod users;
