//! Builds the process that the command names.

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{Site, SiteArgs};
use crate::{agent, knowledge, nlp, session, ticket, watchdog};

#[derive(Parser)]
#[command(
    version,
    about = "One cell's site: its agent, or one of its services",
    after_help = "Example:\n  cell site --cell c1 --region east --spec regions.yaml --run-dir /var/lib/bulkhead\n\n\
                  The agent starts the services itself; start one by hand only to look at it."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The agent: holds the lease, runs PostgreSQL, supervises the services.
    Site(SiteArgs),
    /// Stops the site's PostgreSQL when the agent cannot; started by the agent, told by its pipe.
    Watchdog {
        /// Whose server it is, for the log: `c1@east`.
        #[arg(long)]
        site: String,
    },
    /// Gateway and session: what users talk to.
    Session(SiteArgs),
    /// Intent and entities of a text.
    Nlp(SiteArgs),
    /// Answers from the knowledge base.
    Knowledge(SiteArgs),
    /// Tickets and their states.
    Ticket(SiteArgs),
}

pub async fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Site(args) => agent::run(begin(&args, "agent")?).await,
        Command::Watchdog { site } => watchdog::run(&site),
        Command::Session(args) => session::run(&begin(&args, "session")?).await,
        Command::Nlp(args) => nlp::run(&begin(&args, "nlp")?).await,
        Command::Knowledge(args) => knowledge::run(&begin(&args, "knowledge")?).await,
        Command::Ticket(args) => ticket::run(&begin(&args, "ticket")?).await,
    }
}

/// Checks the configuration and starts telemetry, in that order: a mistake is told on the terminal.
fn begin(args: &SiteArgs, service: &'static str) -> anyhow::Result<Site> {
    let site = Site::read(args, service).context("read the configuration")?;
    runtime::admin::build_info("cell", env!("CARGO_PKG_VERSION"))?;
    Ok(site)
}
