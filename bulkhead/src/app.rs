//! What each command does, in one place.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

use crate::api::Api;
use crate::ask;
use crate::cli::{Cli, Command, RegionArgs};
use crate::exit::Failure;
use crate::{follow, show, terminal};

/// Runs the command line.
pub async fn run() -> ExitCode {
    match carry_out(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::note(&format!("failed to {failure}"));
            failure.code()
        }
    }
}

async fn carry_out(cli: Cli) -> Result<(), Failure> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "bulkhead", &mut script);
        return Ok(terminal::print(&String::from_utf8_lossy(&script))?);
    }
    let api = Api::new(cli.access.find()?)?;
    let out = Out { json: cli.json };
    match cli.command {
        Command::Cells => out.show(&api.get("/v1/cells").await?, show::cells::list),
        Command::Cell(args) => ask::cell(&api, out, args).await,
        Command::Regions => out.show(&api.get("/v1/regions").await?, show::regions::list),
        Command::Sites => out.show(&api.get("/v1/sites").await?, show::sites::list),
        Command::Vantages => out.show(&api.get("/v1/vantages").await?, show::vantages::matrix),
        Command::Evidence { cell } => ask::evidence(&api, out, &cell).await,
        Command::Evacuate(RegionArgs { mark, wave_pause }) => {
            ask::region(&api, out, "evacuate", mark, wave_pause).await
        }
        Command::Restore(RegionArgs { mark, wave_pause }) => {
            ask::region(&api, out, "restore", mark, wave_pause).await
        }
        Command::Drain(mark) => ask::region(&api, out, "drain", mark, None).await,
        Command::Undrain(mark) => ask::region(&api, out, "undrain", mark, None).await,
        Command::Operations => out.show(&api.get("/v1/operations").await?, show::operations::list),
        Command::Operation(args) => ask::operation(&api, out, args).await,
        Command::Freeze(args) => {
            let holds = args.holds.map(|holds| holds.as_secs());
            ask::freeze(&api, out, true, &args.reason, holds, &args.write).await
        }
        Command::Unfreeze(args) => {
            ask::freeze(&api, out, false, &args.reason, None, &args.write).await
        }
        Command::Explain(args) => ask::explain(&api, out, &args).await,
        Command::Events(args) if args.follow => follow::events(&api, out).await,
        Command::Events(args) => {
            let path = format!("/v1/events?limit={}", args.limit);
            out.show(&api.get(&path).await?, show::events::list)
        }
        Command::Alerts => out.show(&api.get("/v1/alerts").await?, show::alerts::list),
        Command::Audit(args) => {
            let path = format!("/v1/audit?limit={}", args.limit);
            out.show(&api.get(&path).await?, show::audit::list)
        }
        Command::Drills(args) => {
            let path = format!("/v1/drills?limit={}", args.limit);
            out.show(&api.get(&path).await?, show::drills::list)
        }
        Command::Completions { .. } => Ok(()),
    }
}

/// Who reads the answer.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    pub(crate) json: bool,
}

impl Out {
    /// Prints an answer: as it is for programs, as `people` says otherwise.
    pub(crate) fn show(
        self,
        answer: &Value,
        people: impl FnOnce(&Value) -> anyhow::Result<String>,
    ) -> Result<(), Failure> {
        let text = if self.json { format!("{answer:#}") } else { people(answer)? };
        Ok(terminal::print(&text)?)
    }
}
