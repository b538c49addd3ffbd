//! The command line, as written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use topology::spec::End;
use topology::{CellId, RegionId, Role};

use crate::volumes::SIZE_MIN;
use crate::wan::namespace;

#[derive(Parser)]
#[command(
    version,
    about = "The whole platform on one machine",
    after_help = "Examples:
  platform up                      start everything, stay in front; Ctrl-C stops it
  platform up --detach --json      start in the background, say where everything is, as JSON
  platform status                  what runs, and which region each cell is active in
  platform logs -f c1@east         follow one process
  platform upgrade                 let new router processes take over, losing no request
  platform token alice             a development token for a user
  platform restore c1 --to latest --check
                                   bring a cell back beside the running one, and compare
  platform down                    stop what `up --detach` started

Exit codes: 0 done, 1 failure, 2 wrong usage or findings in regions.yaml."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start everything, wait until it serves, and say what to try.
    #[command(after_help = "Examples:
  platform up
  platform up --detach --run-dir /tmp/bulkhead --spec regions.yaml
  platform up --fresh              forget all data of an earlier run
  platform up --wan                every region in a network and among processes of its own,
                                   as far away as regions.yaml says; needs root
  platform up --volumes 512m       a small disk for each database, for drills to fill; needs root
  platform up --drills weekly      rehearse a loss each weekday night, by schedule
  platform up --drills monthly     rehearse what is rarer, at weekends

A second `up` finds the data of the first.")]
    Up(UpArgs),
    /// Be the background process of `up --detach`.
    #[command(hide = true)]
    Background(BackgroundArgs),
    /// Be the emulated WAN of `up --wan`.
    #[command(hide = true)]
    Wan(WanArgs),
    /// Be the first process of an end's process namespace, of `up --wan`.
    #[command(hide = true)]
    Init(InitArgs),
    /// Stop what runs, and check that nothing is left.
    #[command(after_help = "Example:\n  platform down --run-dir /tmp/bulkhead")]
    Down(PlaceArgs),
    /// Let the routers' program, as it is now, take over from the one that runs.
    #[command(after_help = "Example:
  cargo build --bin router && platform upgrade

One router after the other: the new process gets the sockets the old one listens on, the old one
finishes what it has and ends. No request fails. A new process that cannot serve changes nothing.")]
    Upgrade(PlaceArgs),
    /// Say what runs; exit code 1 if nothing does.
    #[command(after_help = "Example:\n  platform status --json")]
    Status(StatusArgs),
    /// Show what the processes logged.
    #[command(after_help = "Examples:
  platform logs                    the last lines of each process
  platform logs -f                 follow all of them
  platform logs router-1           everything one of them logged")]
    Logs(LogsArgs),
    /// Bring a cell's database back as it was at a moment, beside everything that runs.
    #[command(after_help = "Examples:
  platform restore c1 --to latest --check
        restore what the active site has now, compare every table with it, and stop
  platform restore c1 --to '2026-11-22 14:05:07Z'
        restore c1 as it was then, say how to connect, and stay; Ctrl-C removes it
  platform restore c1 --to 2026-11-22T22:05:07+08:00 --into /tmp/c1-then --check --json
        restore into a folder that stays, print counts and checksums as JSON
  platform restore c1 --to latest --spec regions.yaml --run-dir /mnt/what-is-left
        where nothing runs any more: restore as far as the archive goes

Needs pgbackrest, and the repository that regions.yaml names. No running cell is touched: its
active site only finishes a piece of WAL and counts its rows.

Exit codes: 0 restored, and the same where compared; 1 failure, or not the same; 2 wrong usage.")]
    Restore(RestoreArgs),
    /// Go on with one member of etcd when the others are lost for good; let them rejoin later.
    #[command(after_help = "Examples:
  platform recover-etcd --region east          say what would be done
  platform recover-etcd --region east --yes    east goes on alone, and takes writes again
  platform recover-etcd --rejoin north         north is back: a new member, with an empty folder

What only the lost members had is gone. They are held back until they rejoin.")]
    RecoverEtcd(RecoverArgs),
    /// Say what is wrong with regions.yaml: one finding per line, exit code 2.
    #[command(after_help = "Example:\n  platform check regions.yaml")]
    Check(CheckArgs),
    /// Print a development token for a user.
    #[command(
        after_help = "Example:\n  curl -H \"Authorization: Bearer $(platform token alice)\" …"
    )]
    Token(TokenArgs),
}

#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// Where state, secrets and logs are kept [default: /var/lib/bulkhead as root, else
    /// ~/.local/state/bulkhead].
    #[arg(long, env = "BULKHEAD_RUN_DIR", value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct UpArgs {
    /// The world: regions, cells, addresses, times.
    #[arg(long, env = "BULKHEAD_SPEC", default_value = "regions.yaml", value_name = "FILE")]
    pub(crate) spec: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Run in the background; return once it serves.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Delete all data of an earlier run first.
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) world: WorldArgs,
}

/// In which world it runs: drills need one that they can change.
#[derive(Clone, Args)]
pub(crate) struct WorldArgs {
    /// Emulate the distances between regions, and from the edge to them; each lives among processes of its own. Needs
    /// root.
    #[arg(long)]
    pub(crate) wan: bool,
    /// Start sites so that drills can set their wall clocks; needs libfaketime.
    #[arg(long)]
    pub(crate) clocks: bool,
    /// Give each site's PostgreSQL a volume of this size, as in 512m or 1g, which drills can fill; needs root.
    /// Later starts find it without being told.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) volumes: Option<u64>,
    /// Have control planes run the drills of this suite, a name or a file, when they are due. They break
    /// this platform: only where its run directory's `drills-allowed` allows it.
    #[arg(long, value_name = "SUITE", value_parser = suite)]
    pub(crate) drills: Option<String>,
}

#[derive(Args)]
pub(crate) struct BackgroundArgs {
    #[arg(long)]
    pub(crate) spec: PathBuf,
    #[arg(long)]
    pub(crate) run_dir: PathBuf,
    #[command(flatten)]
    pub(crate) world: WorldArgs,
}

#[derive(Args)]
pub(crate) struct WanArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Where the network namespace of an end is.
    #[arg(long = "namespace", value_name = "END=PATH", value_parser = namespace)]
    pub(crate) namespaces: Vec<(End, PathBuf)>,
}

#[derive(Args)]
pub(crate) struct InitArgs {
    /// Whose, for whoever lists processes.
    #[arg(long)]
    pub(crate) end: End,
}

#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RestoreArgs {
    /// The cell, as in regions.yaml.
    pub(crate) cell: String,
    /// A time with its zone, or `latest`.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: String,
    /// An empty or new folder to restore into, which stays [default: one in the run directory,
    /// which does not].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The world [default: that of the run directory].
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Stop the restored database once it has been looked at.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Go on with what is logged from now on.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// One process, as `platform status` names it.
    pub(crate) process: Option<String>,
}

#[derive(Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The region whose member goes on alone.
    #[arg(long, required_unless_present = "rejoin", conflicts_with = "rejoin")]
    pub(crate) region: Option<RegionId>,
    /// The region whose member joins again.
    #[arg(long)]
    pub(crate) rejoin: Option<RegionId>,
    /// Do it; without this, only say what would be done.
    #[arg(long, requires = "region")]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    #[arg(env = "BULKHEAD_SPEC", default_value = "regions.yaml")]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The user's id.
    #[arg(value_parser = user)]
    pub(crate) user: String,
    /// How long the token is valid: a number and s, m, h or d.
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = time)]
    pub(crate) expires: Duration,
    /// In which part the user asks: contact, agent or service.
    #[arg(long, default_value_t)]
    pub(crate) role: Role,
    /// The cells an agent works for, as in `c1,c2`.
    #[arg(long, value_delimiter = ',', value_name = "CELLS")]
    pub(crate) cells: Vec<CellId>,
}

fn user(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a user id cannot be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    let explain = || format!("{text:?} is not a size such as 512m or 1g");
    let unit = text.chars().last().ok_or_else(explain)?;
    let bytes: u64 = match unit {
        'm' => 1 << 20,
        'g' => 1 << 30,
        _ => return Err(explain()),
    };
    let number: u64 =
        text[..text.len() - 1].parse().map_err(|err| format!("{}: {err}", explain()))?;
    let size = number.checked_mul(bytes).ok_or_else(explain)?;
    let least = SIZE_MIN >> 20;
    (size >= SIZE_MIN).then_some(size).ok_or_else(|| format!("a database needs {least}m at least"))
}

/// A file is found from anywhere.
fn suite(text: &str) -> Result<String, String> {
    let path = Path::new(text);
    if !path.exists() {
        return Ok(text.to_owned());
    }
    let path = std::path::absolute(path).map_err(|err| err.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let explain = || format!("{text:?} is not a time such as 90s, 30m, 24h or 7d");
    let unit = text.chars().last().ok_or_else(explain)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(explain()),
    };
    let number: u64 =
        text[..text.len() - 1].parse().map_err(|err| format!("{}: {err}", explain()))?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(explain)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_size_is_a_number_and_a_unit_and_enough_for_a_database() {
        assert_eq!(size("512m"), Ok(512 << 20));
        assert_eq!(size("1g"), Ok(1 << 30));
        for bad in ["", "m", "512", "255m", "1.5g", "1€", "99999999999999999999g"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(time("7d"), Ok(Duration::from_hours(7 * 24)));
        for bad in ["", "s", "10", "1.5h", "-1h", "24 h", "1€", "99999999999999999999d"] {
            assert!(time(bad).is_err(), "{bad:?}");
        }
    }
}
