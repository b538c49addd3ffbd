//! Real control planes and a real etcd; the sites' agents are stand-ins that do as they are told.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod agent;
mod api;
mod asked_failover;
mod attention;
mod browser;
mod conformance;
mod console;
mod document;
mod drills;
mod etcd;
mod events;
mod evidence;
mod explain;
mod failover;
mod failpoints;
mod forms;
mod operations;
mod platform;
mod reads;
mod refusals;
mod roles;
mod site_levers;
mod sites;
mod switchover;
mod tls;
mod vantages;
mod went_back;
mod windows;
mod without_etcd;
