//! The command line, as written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::drill::yaml::duration;

#[derive(Parser)]
#[command(
    version,
    about = "Rehearses failures of a running platform, and proves what it claims of them",
    after_help = "Examples:
  chaos run region-loss            kill everything in one region under load
  chaos run all --json             every drill but the long ones, one JSON document
  chaos run my-drill.yaml --repeat 10
  chaos run soak --for 3m          pauses, stalls and killed leaders, and nothing moves
  chaos validate my-drill.yaml     say what is wrong with a drill file

Exit codes: 0 pass, 1 a limit was exceeded or data is not safe, 2 wrong usage or drill file,
3 stopped and cleaned up, 4 inconclusive, 5 no steady state before, 6 something was left behind,
7 the drill itself failed, 8 refused: another drill is running."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run drills, by name, by file, or all that come along.
    Run(RunArgs),
    /// List the drills that come along.
    List,
    /// Say what is wrong with a drill file; exit code 2 if something is.
    Validate {
        /// A drill's file or name.
        #[arg(value_name = "FILE")]
        drill: String,
    },
    /// What a drill starts to have thawed what it freezes.
    #[command(hide = true)]
    Guard {
        #[arg(long, value_name = "MS")]
        ttl_ms: u64,
    },
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// A drill's name (see `chaos list`), a file, or `all`.
    #[arg(value_name = "NAME|FILE|all")]
    pub(crate) drill: String,
    /// Where the platform keeps its state [default: /var/lib/bulkhead as root, else
    /// ~/.local/state/bulkhead].
    #[arg(long, env = "BULKHEAD_RUN_DIR", value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Print one JSON document on standard output; progress goes to standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the report goes [default: drills/ID in the run directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Start the platform anew first, without the data of earlier runs.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Instead of the drill's own: how long the fault is on, or how long it is repeated (30s, 5m).
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    pub(crate) lasting: Option<Duration>,
    /// Run each drill this often; the seed grows by one each time.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// Instead of the drill's own: settles targets, arrivals and everything else left to chance.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// A missed goal fails the run.
    #[arg(long)]
    pub(crate) strict_goals: bool,
}

fn lasting(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "expected a duration such as 500ms, 6s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
