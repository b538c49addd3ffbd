//! What each process needs, written once: tasks, telemetry, the admin endpoint, HTTP in both
//! directions, clocks, problems.
//!
//! Knows nothing of cells and slots.

pub mod admin;
pub mod child;
pub mod clock;
pub mod defect;
pub mod door;
pub mod emulation;
pub mod environment;
pub mod fake_clock;
pub mod file;
pub mod http_client;
pub mod json_body;
pub mod moment;
pub mod mounts;
pub mod overload;
pub mod problem;
pub mod process;
pub mod program;
pub mod reconcile;
pub mod run_dir;
pub mod server;
pub mod sse;
pub mod tasks;
pub mod telemetry;
pub mod volumes;
pub mod watched;

pub use admin::Board;
pub use http_client::HttpClient;
pub use problem::Problem;
pub use tasks::{Tasks, stop_asked};
pub use watched::Watched;
