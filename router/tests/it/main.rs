//! A real router and a real etcd; sites are played by scripted servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod client;
mod hold;
mod identity;
mod integrity;
mod last_known_good;
mod retry;
mod site;
mod stale;
mod world;
