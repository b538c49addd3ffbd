//! One region's control plane: it watches every site, and moves a cell whose active site is lost.
//!
//! There is no leader. Every region's process makes the same decision from what it sees itself
//! (`decide/failover.rs`, start reading there), and a conditional write in etcd lets one of them
//! carry it out. Nothing here is on a user's way to a cell (I6).

pub mod agents;
pub mod api;
pub mod app;
pub mod callers;
pub mod config;
pub mod console;
pub mod decide;
pub mod decision_log;
mod defect;
pub mod event_log;
pub mod evidence;
pub mod failpoint;
pub mod levers;
pub mod metrics;
pub mod rehearsal;
pub mod store;
pub mod tasks;
