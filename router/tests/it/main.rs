//! A real router and a real etcd; sites are played by scripted servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod access_log;
mod agents;
mod authority;
mod cache;
mod client;
mod files;
mod hold;
mod hostile;
mod http2;
mod identity;
mod integrity;
mod issuer;
mod key_files;
mod keys;
mod last_known_good;
mod load;
mod metrics;
mod nearest;
mod overrides;
mod protection;
mod refused_table;
mod retry;
mod rollback;
mod silence;
mod site;
mod stale;
mod streams;
mod tls;
mod upgrade;
mod visitors;
mod world;
