//! The platform on one machine: etcd, control planes, sites and routers, from `regions.yaml`.
//!
//! Starts processes, watches them, starts them again and stops them; knows nothing of what they
//! say to each other. PostgreSQL and a site's services are started by the site's agent.

pub mod app;

mod cli;
mod clocks;

mod decide;

mod detach;
mod disk;
mod down;
mod environment;
mod launch;
mod logs;
mod machine;
mod preflight;
mod readiness;
mod recover_etcd;
mod report;
mod restore;
mod run_dir;
mod secrets;
mod status;
mod supervise;
mod terminal;
mod token;
mod up;
mod upgrade;
mod volumes;
mod wan;

pub use decide::plan::etcd_arguments;
