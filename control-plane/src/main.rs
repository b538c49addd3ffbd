//! `control-plane`: one region's control plane.

use std::process::ExitCode;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last word, after logging is gone")]
async fn main() -> ExitCode {
    match control_plane::app::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}
