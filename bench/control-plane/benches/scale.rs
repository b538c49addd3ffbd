//! What many cells cost the control planes and etcd: see `scripts/bench-control-plane`.

use std::process::ExitCode;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a benchmark speaks to who runs it")]
async fn main() -> ExitCode {
    match bench_control_plane::app::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}
