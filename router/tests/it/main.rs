//! A real router and a real etcd; sites are played by scripted servers.

mod client;
mod hold;
mod identity;
mod integrity;
mod last_known_good;
mod retry;
mod site;
mod world;
