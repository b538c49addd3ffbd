//! Does what the command line asks, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use topology::Spec;

use crate::cli::{CheckArgs, Cli, Command};
use crate::disk::{SpecFile, World, read_spec};
use crate::run_dir::RunDir;
use crate::token::Bearer;
use crate::{down, logs, recover_etcd, restore, status, terminal, token, up, upgrade, wan};

/// What a command came to, short of a failure.
pub(crate) enum Outcome {
    Done,
    /// Nothing runs; `status` says so by its exit code too.
    NotRunning,
    /// What was restored is not what was there; it has been said in which way.
    Differs,
    /// The input is wrong, and what is wrong has been said.
    Findings,
}

pub async fn run() -> anyhow::Result<ExitCode> {
    let outcome = match Cli::parse().command {
        Command::Up(args) => up::up(args).await,
        Command::Background(args) => up::background(args).await,
        Command::Wan(args) => wan::wan(args).await,
        Command::Init(_) => wan::init::init().await,
        Command::Down(place) => down::down(&RunDir::find(place.run_dir)?).await,
        Command::Upgrade(place) => upgrade::upgrade(&RunDir::find(place.run_dir)?).await,
        Command::Status(args) => {
            status::status(&RunDir::find(args.place.run_dir)?, args.json).await
        }
        Command::Logs(args) => {
            let run_dir = RunDir::find(args.place.run_dir)?;
            logs::logs(&run_dir, args.process.as_deref(), args.follow).await
        }
        Command::Restore(args) => restore::restore(args).await,
        Command::RecoverEtcd(args) => recover_etcd::recover_etcd(args).await,
        Command::Check(args) => check(&args),
        Command::Token(args) => {
            let run_dir = RunDir::find(args.place.run_dir)?;
            let bearer = Bearer { user: &args.user, role: args.role, cells: &args.cells };
            let token = token::development(&run_dir, &bearer, args.expires)?;
            terminal::print(&token)?;
            Ok(Outcome::Done)
        }
    };
    Ok(match outcome? {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::NotRunning | Outcome::Differs => ExitCode::FAILURE,
        Outcome::Findings => ExitCode::from(2),
    })
}

fn check(args: &CheckArgs) -> anyhow::Result<Outcome> {
    match read_spec(&args.file, World::AsWritten)? {
        SpecFile::Good { spec, .. } => {
            terminal::print(&format!("{}: {}", args.file.display(), summary(&spec)))?;
            Ok(Outcome::Done)
        }
        SpecFile::Bad(lines) => {
            terminal::print(&lines.join("\n"))?;
            Ok(Outcome::Findings)
        }
    }
}

fn summary(spec: &Spec) -> String {
    let sites = spec.cells.iter().map(|cell| cell.regions().count()).sum();
    let parts = [
        (spec.regions.len(), "region"),
        (spec.cells.len(), "cell"),
        (sites, "site"),
        (spec.edge.routers.into(), "router"),
    ];
    let parts = parts.map(|(number, noun)| match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    });
    format!("no findings; {}", parts.join(", "))
}
