//! `chaos suite`, as written.

use clap::{Args, Subcommand};
use topology::RegionId;

use super::PlaceArgs;

#[derive(Args)]
pub(crate) struct SuiteArgs {
    #[command(subcommand)]
    pub(crate) how: SuiteCommand,
}

#[derive(Subcommand)]
pub(crate) enum SuiteCommand {
    /// Say what is wrong with a suite's file; exit code 2 if something is.
    Check(SuiteName),
    /// Say which drill hits whom next, and who was hit when.
    Plan {
        #[command(flatten)]
        suite: SuiteName,
        #[command(flatten)]
        place: PlaceArgs,
        /// How far to look ahead.
        #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=52))]
        weeks: u64,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Begin each drill when it is due, until stopped.
    Run {
        #[command(flatten)]
        suite: SuiteName,
        #[command(flatten)]
        place: PlaceArgs,
        /// The id of the environment that is to be broken; another one is refused.
        #[arg(long, value_name = "ID")]
        environment: Option<String>,
        /// Do what is due now, and end: for whoever has a scheduler.
        #[arg(long)]
        once: bool,
        /// End with standard input, as the control plane of this region has it end.
        #[arg(long, hide = true, value_name = "REGION")]
        tied_to: Option<RegionId>,
    },
}

#[derive(Args)]
pub(crate) struct SuiteName {
    /// A suite's name or file.
    #[arg(value_name = "NAME|FILE", default_value = "weekly")]
    pub(crate) suite: String,
}
