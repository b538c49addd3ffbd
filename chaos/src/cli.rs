//! The command line, as written.

mod suite;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::suite::{SuiteArgs, SuiteCommand, SuiteName};
use crate::drill::Cut;
use crate::drill::yaml::duration;
use crate::relay::Late;

#[derive(Parser)]
#[command(
    version,
    about = "Rehearses failures of a running platform, and proves what it claims of them",
    after_help = "Examples:
  chaos run region-loss            kill everything in one region under load
  chaos run all --json             every drill but the long ones, and what takes a platform started
                                   otherwise (--wan, --clocks), one JSON document
  chaos run all --tag weekly --report weekly
                                   those of one tag, with the table of them all in weekly/table.md
  chaos run my-drill.yaml --repeat 10
  chaos run soak --for 3m          pauses, stalls and killed leaders, and nothing moves
  chaos run cell-loss --dry-run    say what would be broken, and do nothing
  chaos validate my-drill.yaml     say what is wrong with a drill file
  chaos compare A B                two runs of a drill, side by side
  chaos table drills               what all runs in a folder came to
  chaos recover                    take away whatever a drill has left

Exit codes: 0 pass, 1 a limit was exceeded or data is not safe, 2 wrong usage or drill file,
3 stopped and cleaned up, 4 inconclusive, 5 no steady state before, 6 something was left behind,
7 the drill itself failed, 8 refused: another drill is running, the lever is pulled, the environment
does not allow drills, or more would be broken than the drill's scope."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run drills, by name, by file, or all that come along.
    Run(RunArgs),
    /// Run drills by schedule, and say which hits whom when.
    #[command(after_help = "Examples:
  chaos suite check my-suite.yaml   say what is wrong with a suite's file
  chaos suite plan --weeks 8        the next runs, and every drill against every cell and region
  chaos suite plan monthly --weeks 5   the same of the monthly suite
  chaos suite run                   begin each drill of the weekly suite when it is due, until stopped
  chaos suite run --once            do what is due now, and end")]
    Suite(SuiteArgs),
    /// List the drills that come along.
    List(ListArgs),
    /// Say what is wrong with a drill file; exit code 2 if something is.
    Validate {
        /// A drill's file or name.
        #[arg(value_name = "FILE")]
        drill: String,
    },
    /// Say what this machine lacks for drills; exit code 8 if anything is missing.
    Doctor(PlaceArgs),
    /// Hold two reports side by side.
    #[command(after_help = "Example:\n  chaos compare drills/region-loss-1 drills/region-loss-2")]
    Compare {
        /// A run's folder, or its report.json.
        a: PathBuf,
        b: PathBuf,
    },
    /// Print a run's report, and make its page anew.
    Report {
        /// A run's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// What runs came to, as a table in Markdown: the one of `run --table`, from their reports.
    #[command(after_help = "Examples:
  chaos table drills > table.md    of all runs in a folder that have a report
  chaos table drills/region-loss-1 drills/region-loss-2")]
    Table {
        /// A run's folder, its report.json, or a folder of runs.
        #[arg(value_name = "DIR", required = true)]
        runs: Vec<PathBuf>,
    },
    /// Print a run's history as EDN, for Knossos and elle-cli.
    History {
        /// A run's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Put defects into a history, and see each caught by the check meant for it.
    Selftest,
    /// Take away whatever drills have left: by their journals, and by the names of what they make.
    #[command(after_help = "Examples:
  chaos recover            after a crash, or to be sure
  chaos recover --check    only say what is left; exit code 6 if anything is")]
    Recover(RecoverArgs),
    /// Stop every drill at once and let none start, or let them start again.
    #[command(after_help = "Examples:
  chaos lever pull 'a real incident'
  chaos lever release
  chaos lever              say where it is pulled; exit code 8 if it is anywhere")]
    Lever(LeverArgs),
    /// What a run starts to have taken away what it does.
    #[command(hide = true)]
    Guard {
        /// The run's, with its journal.
        #[arg(long, value_name = "DIR")]
        folder: PathBuf,
        /// A run that gives no sign of life for this long is ended.
        #[arg(long, value_name = "MS")]
        silence_ms: u64,
    },
    /// What a run starts for a fault that has to go on being done.
    #[command(hide = true)]
    Helper {
        /// What it is known by, to who ends it.
        #[arg(long)]
        label: String,
        /// It ends by itself after this.
        #[arg(long, value_name = "MS")]
        ttl_ms: u64,
        #[command(subcommand)]
        does: Does,
    },
}

/// What a helper does.
#[derive(Subcommand)]
pub(crate) enum Does {
    /// Leave a database server no room, however often it is started.
    Fill {
        /// The server's data folder.
        data: PathBuf,
    },
    /// Leave a volume no room, whatever is freed on it.
    Ballast { volume: PathBuf },
    /// Write pages to a folder's disk, and say how long one takes.
    Write { folder: PathBuf },
    /// Stand between who asks and who answers, and cut answers off.
    Relay {
        /// Who answers.
        to: SocketAddr,
        /// Which answers.
        cut: Cut,
        /// How many of a hundred.
        percent: u8,
        seed: u64,
    },
    /// Stand between who asks and who answers, and pass answers on late.
    Delay {
        /// Who answers.
        to: SocketAddr,
        /// Which answers.
        late: Late,
        by_ms: u64,
    },
}

#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// Where the platform keeps its state [default: /var/lib/bulkhead as root, else
    /// ~/.local/state/bulkhead].
    #[arg(long, env = "BULKHEAD_RUN_DIR", value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only those with this tag.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
}

#[derive(Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Change nothing, only say what is left.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LeverArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(subcommand)]
    pub(crate) how: Option<LeverCommand>,
}

#[derive(Subcommand)]
pub(crate) enum LeverCommand {
    /// Stop every drill at once, and let none start.
    Pull {
        /// Why; whoever is refused reads it.
        reason: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Let drills start again.
    Release {
        #[command(flatten)]
        place: PlaceArgs,
    },
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct RunArgs {
    /// A drill's name (see `chaos list`), a file, or `all`.
    #[arg(value_name = "NAME|FILE|all")]
    pub(crate) drill: String,
    /// Of `all` those with this tag, and long ones too.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Say what would be done to what, and do nothing.
    #[arg(long, conflicts_with = "fresh")]
    pub(crate) dry_run: bool,
    /// The id of the environment that is to be broken; another one is refused.
    #[arg(long, value_name = "ID")]
    pub(crate) environment: Option<String>,
    /// Print one JSON document on standard output; progress goes to standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the report goes [default: drills/ID in the run directory]; of several runs each into a folder of
    /// its own there, with the table of all of them beside (`table.md`).
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Write what all runs so far came to into a table in Markdown, anew after each.
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
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
