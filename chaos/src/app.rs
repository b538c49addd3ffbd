//! Does what the command line asks, and turns the outcome into an exit code.

mod drills;
mod follow;
mod heal;
mod lever;
mod suite;
mod tell;

use std::time::Duration;

use clap::Parser as _;

use crate::cli::{Cli, Command, Does};
use crate::exit::Exit;
use crate::fault::{ballast, disk_full, disk_slow};
use crate::guard::stand_guard;
use crate::relay::{Treatment, relay};
use crate::terminal::print;

pub async fn run() -> anyhow::Result<Exit> {
    match Cli::parse().command {
        Command::Run(args) => drills::run(&args).await,
        Command::Suite(args) => Box::pin(suite::suite(&args)).await,
        Command::List(args) => drills::list(&args),
        Command::Validate { drill } => match drills::read(&drill)? {
            Ok(drills) => {
                for drill in drills {
                    print(&format!("{}: no findings; {}", drill.name, drill.title))?;
                }
                Ok(Exit::Pass)
            }
            Err(exit) => Ok(exit),
        },
        Command::Doctor(place) => tell::doctor(place.run_dir),
        Command::Compare { a, b } => tell::compare(&a, &b),
        Command::Report { folder } => tell::report(&folder),
        Command::Table { runs } => tell::table(&runs),
        Command::History { folder } => tell::history(&folder),
        Command::Selftest => tell::selftest(),
        Command::Recover(args) => heal::recover(&args).await,
        Command::Lever(args) => lever::lever(&args).await,
        Command::Guard { folder, silence_ms } => {
            stand_guard(&folder, Duration::from_millis(silence_ms)).await?;
            Ok(Exit::Pass)
        }
        Command::Helper { label: _, ttl_ms, does } => {
            let ttl = Duration::from_millis(ttl_ms);
            match does {
                Does::Fill { data } => disk_full::fill(&data, ttl).await?,
                Does::Ballast { volume } => ballast::fill(&volume, ttl).await?,
                Does::Write { folder } => disk_slow::write(&folder, ttl)?,
                Does::Relay { to, cut, percent, seed } => {
                    relay(to, Treatment::Cut { cut, percent }, seed, ttl).await?;
                }
                Does::Delay { to, late, by_ms } => {
                    let by = Duration::from_millis(by_ms);
                    // Nothing is left to chance.
                    relay(to, Treatment::Delay { late, by }, 0, ttl).await?;
                }
            }
            Ok(Exit::Pass)
        }
    }
}
