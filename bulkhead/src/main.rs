//! `bulkhead`: the operator's client.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    bulkhead::app::run().await
}
