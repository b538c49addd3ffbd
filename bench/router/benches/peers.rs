//! Question: what does a request cost in the router, beside nginx, HAProxy and Envoy?

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a benchmark speaks to who runs it")]
fn main() -> ExitCode {
    match bench_router::app::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}
