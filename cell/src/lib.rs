//! One cell's site: the agent that owns tenure and PostgreSQL, and the service chain.
//!
//! Every process of a site is this program under another command. Start reading at
//! `agent/decide/tenure.rs` for what keeps data safe, and at `gateway/` for what a request meets.

pub mod agent;
pub mod app;
pub mod config;
pub mod content;
pub mod database;
mod defect;
pub mod gateway;
pub mod knowledge;
pub mod nlp;
pub mod session;
pub mod text;
pub mod ticket;
pub mod watchdog;
