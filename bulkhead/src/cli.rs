//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::access::AccessArgs;
use crate::exit::CODES;

const EXAMPLES: &str = "\
Examples:
  bulkhead cells
  bulkhead cell c1 switchover --to south --dry-run
  bulkhead evacuate east --watch
  bulkhead explain alice --at '2026-11-22 14:05:07Z'
  bulkhead events -f
  bulkhead --json cells | jq '.data[].active'
  source <(bulkhead completions bash)";

#[derive(Debug, Parser)]
#[command(
    name = "bulkhead",
    version,
    about = "Asks the control planes of a Bulkhead platform, and tells them what to do",
    after_help = format!("{EXAMPLES}\n\n{CODES}"),
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Print what the control plane answers, as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the cells: where each is active, and whether it may lose a region.
    Cells,
    /// Show a cell, or move it.
    Cell(CellArgs),
    /// List the regions, and which cells are active there.
    Regions,
    /// List every site of every cell.
    Sites,
    /// Show what every region's control plane sees of every site.
    Vantages,
    /// Show what speaks for and against a cell's active site, and what was decided.
    Evidence { cell: String },
    /// Move every cell out of a region, in waves, and make it no target of any move.
    Evacuate(RegionArgs),
    /// Make a region a target again, and let the cells at home there back in, in waves.
    Restore(RegionArgs),
    /// Make a region no target of any move. Nothing is moved out of it.
    Drain(MarkArgs),
    /// Make a region a target again. Nothing is moved into it.
    Undrain(MarkArgs),
    /// List operations: those that go on, and those that have ended.
    Operations,
    /// Show an operation, follow it, or cancel it.
    Operation(OperationArgs),
    /// Move nothing any more, neither by plan nor by itself.
    Freeze(FreezeArgs),
    /// Move cells again.
    Unfreeze(UnfreezeArgs),
    /// Say where a user's requests go, or went at a moment of the last thirty days, and why.
    Explain(ExplainArgs),
    /// Show what happened last, or as it happens.
    Events(EventsArgs),
    /// List what a person should look at.
    Alerts,
    /// List who did what, when and why.
    Audit(AuditArgs),
    /// List runs of drills, and what each came to.
    Drills(DrillsArgs),
    /// Write a shell's completions.
    #[command(after_help = "Example:\n  source <(bulkhead completions bash)")]
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bulkhead cell c1\n  bulkhead cell c1 switchover --to south")]
pub(crate) struct CellArgs {
    pub(crate) cell: String,
    #[command(subcommand)]
    pub(crate) what: Option<CellCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CellCommand {
    /// Move the cell to a standby, both sides being alive.
    Switchover {
        /// The region to move to.
        #[arg(long)]
        to: String,
        /// For whoever reads the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// A safety rule that shall not stand in the way; may be repeated.
        #[arg(long = "override", value_name = "RULE", requires = "reason")]
        override_rules: Vec<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Promote a standby of a cell that cannot do so by itself.
    Failover {
        /// The region to promote; whoever is furthest without it.
        #[arg(long)]
        to: Option<String>,
        /// Promote without enough votes. What only the other sites have is given up.
        #[arg(long, requires = "reason")]
        accept_data_loss: bool,
        /// For whoever reads the audit log.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Keep a standby site out of the cell: no voter, no target, following nobody.
    RetireSite(MarkArgs),
    /// Let a site in again that was kept out; done once it votes.
    AddSite(MarkArgs),
    /// List what the cell's sites had written that its history went on without.
    LostWrites,
}

/// What every write takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct WriteArgs {
    /// Say what would be done, whom it concerns and what stands in the way, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do nothing if it has changed: the `etag` of a dry run.
    #[arg(long, value_name = "TAG")]
    pub(crate) if_match: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bulkhead evacuate east --dry-run\n  bulkhead evacuate east --watch"
)]
pub(crate) struct RegionArgs {
    #[command(flatten)]
    pub(crate) mark: MarkArgs,
    /// How long to watch after each wave: a number and s, m or h.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) wave_pause: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct MarkArgs {
    pub(crate) region: String,
    /// Follow it to its end. Stopping to follow does not stop it.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,
    /// For whoever reads the audit log.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// A safety rule that shall not stand in the way; may be repeated.
    #[arg(long = "override", value_name = "RULE")]
    pub(crate) override_rules: Vec<String>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OperationArgs {
    pub(crate) operation: String,
    /// Follow it to its end.
    #[arg(long, conflicts_with = "cancel")]
    pub(crate) watch: bool,
    /// End it: what is begun is finished or taken back.
    #[arg(long)]
    pub(crate) cancel: bool,
    /// Say what cancelling would leave out and take back, and do nothing.
    #[arg(long, requires = "cancel")]
    pub(crate) dry_run: bool,
    /// Do not cancel it if it has changed: the `etag` of a dry run.
    #[arg(long, value_name = "TAG", requires = "cancel")]
    pub(crate) if_match: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// For whoever wonders why nothing moves.
    #[arg(long)]
    pub(crate) reason: String,
    /// How long it holds: a number and s, m or h; until it is lifted without.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    pub(crate) holds: Option<Duration>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnfreezeArgs {
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bulkhead explain alice --at '2026-11-22 14:05:07Z'")]
pub(crate) struct ExplainArgs {
    /// The user's id, as in their token.
    pub(crate) user: String,
    /// A moment with its zone, or milliseconds since 1970; now without it.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on, and print what happens as it happens.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many to show of those that are over.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// How many to show.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

#[derive(Debug, Args)]
pub(crate) struct DrillsArgs {
    /// How many to show.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; it reads 90s, 30m or 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    let seconds = number.and_then(|number| number.checked_mul(seconds));
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_is_a_number_and_its_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "s", "10", "0m", "-1s", "1d", "1.5h", "九s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
