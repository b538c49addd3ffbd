//! `platform`: the whole thing on one machine.

use std::process::ExitCode;

/// One thread: a process's death signal fires when the thread that started it ends, so everything
/// is started from the thread that lives as long as the platform does.
#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "the last word, after logging is gone")]
async fn main() -> ExitCode {
    match platform::app::run().await {
        Ok(code) => code,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}
