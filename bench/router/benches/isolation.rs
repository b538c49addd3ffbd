//! Question: what do users of other cells notice of a cell that is slow and flooded?

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a benchmark speaks to who runs it")]
fn main() -> ExitCode {
    match bench_router::isolation::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}
