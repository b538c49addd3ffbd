//! The router: finds each user's cell, and keeps their request while the cell moves.
//!
//! Start reading at `decide/hold.rs` for when a request waits and when it goes, then at `proxy.rs`
//! for where Pingora asks. Stateless but for what it follows: nothing on a request's path waits for
//! etcd or the control plane (I6), and no health changes a user's cell (I7).

mod access_log;
mod answer;
pub mod app;
mod buckets;
mod cache;
mod cell;
mod certificates;
mod config;
mod connections;
mod decide;
mod defect;
mod doors;
mod drain;
mod explain;
mod forwarding;
mod gather;
mod hold;
mod identity;
mod integrity;
mod limits;
mod lines;
mod listeners;
mod load;
mod loops;
pub mod measured;
mod metrics;
mod mutual;
mod names;
mod outgoing;
mod pace;
mod protection;
mod proxy;
mod public;
mod release;
mod report;
mod rollback;
mod room;
mod site;
mod sockets;
mod stop;
mod stream;
mod table;
mod trace;
mod visitors;
