//! `chaos`: rehearses failures of a running platform, and proves what it claims of them.

use std::process::ExitCode;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last word, when nothing else can be said")]
async fn main() -> ExitCode {
    match chaos::app::run().await {
        Ok(exit) => exit.into(),
        Err(err) => {
            eprintln!("failed to {err:#}");
            chaos::exit::Exit::Harness.into()
        }
    }
}
