//! What bounds the control planes: many cells with three sites in five regions, before a real etcd.
//!
//! Real are etcd, started as `platform up` does, and the control planes. The agents are stand-ins in one
//! process that renew, report, follow, answer and vote as often as real ones do.
//! `scripts/bench-control-plane` builds what is needed, and starts this in a network of its own.

mod agents;
pub mod app;
mod death;
mod etcd;
mod machine;
mod planes;
mod process;
mod pure;
mod report;
mod series;
mod steady;
mod timings;
mod world;
