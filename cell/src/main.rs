//! `cell`: a site's agent or one of its services.

use std::process::ExitCode;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last word, after logging is gone")]
async fn main() -> ExitCode {
    match cell::app::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}
