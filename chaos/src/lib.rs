//! Drills: a running platform is broken on purpose, under load, and what was claimed of it is
//! checked against what was seen.
//!
//! Start reading at `run`; what is judged is in `metrics`, `check` and `verdict`, which are pure.
//! It breaks and heals processes of one machine. It does not start the platform, and never looks
//! into the programs it breaks: what it knows of them, any user could know.

pub mod app;
pub mod exit;

mod cli;

mod drill;

mod history;
mod recorder;

mod course;

mod check;
mod metrics;
mod verdict;

mod connections;
mod control_plane;
mod doubts;
mod events;
mod filter;
mod platform;
mod process;
mod programs;
mod token;
mod versions;
mod wan;

mod fault;
mod freeze;

mod guard;
mod helper;
mod journal;
mod lever;
mod lock;
mod recover;
mod refusals;
mod relay;
mod safeguard;
mod sweep;
mod undo;

mod load;

mod final_reads;
mod lost_writes;
mod replica;

mod fresh;
mod logbook;
mod plan;
mod run;

mod compare;
mod doctor;
mod edn;
mod ledger;
mod logs;
mod report;
mod selftest;
mod series;
mod suite;
mod terminal;
