//! `bulkhead`: what an operator asks a control plane, and tells it, from a shell.
//!
//! Everything goes over the same API as anybody's own scripts. It keeps nothing, and decides nothing: a
//! move that should not be made is refused by the control plane, which says why.

mod access;
mod api;
pub mod app;
mod ask;
mod cli;
mod exit;
mod follow;
mod show;
mod table;
mod terminal;
