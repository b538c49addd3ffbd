//! `platform restore`: brings a cell's database back as it was, beside everything that runs.
//!
//! ```text
//!  the repository ──base backup, WAL──▶ a folder ──▶ a PostgreSQL of its own ──▶ checksums
//!  the active site ──snapshot at one WAL position──▶ checksums ──▶ the same?
//! ```
//!
//! No running cell is touched: its active site is asked to finish a piece of WAL, so that the archive
//! reaches as far as is asked for, and to count its rows. What is restored knows nothing of the cell,
//! archives nothing, and is stopped with this command.

mod active;
mod checksum;
mod request;
mod scratch;
mod tools;

use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::BootTime;
use serde_json::json;

use crate::app::Outcome;
use crate::cli::RestoreArgs;
use crate::run_dir::RunDir;
use crate::terminal;
use active::{Active, Reference};
use checksum::{Checksums, Compared};
use request::{Request, To};
use scratch::{Goal, Scratch};

/// A clean stop of a database nobody uses.
const STOP_LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn restore(args: RestoreArgs) -> anyhow::Result<Outcome> {
    let run_dir = RunDir::find(args.place.run_dir.clone())?;
    let request = match request::check(&args, &run_dir)? {
        Ok(request) => request,
        Err(findings) => {
            terminal::note(&findings.join("\n"));
            return Ok(Outcome::Findings);
        }
    };
    let scratch = Scratch::prepare(&request, &run_dir)?;
    let outcome = tokio::select! {
        outcome = run(&request, &run_dir, &scratch, &args) => outcome,
        () = runtime::stop_asked() => {
            terminal::note("stopping");
            Ok(Outcome::Done)
        }
    };
    scratch.stop(STOP_LIMIT).await;
    scratch.remove_unless_named()?;
    outcome
}

async fn run(
    request: &Request,
    run_dir: &RunDir,
    scratch: &Scratch<'_>,
    args: &RestoreArgs,
) -> anyhow::Result<Outcome> {
    let begun = BootTime::now();
    let active = Active::find(request, run_dir, &scratch.folder).await?;
    let reference = match (&active, &request.to) {
        (Some(active), To::Latest) => {
            terminal::note(&format!("counting the rows of {}", active.site));
            Some(active.checksums(&request.tools).await?)
        }
        (Some(_) | None, To::Time(_)) | (None, To::Latest) => None,
    };
    let (archived_ago, timeline) = if let Some(active) = &active {
        let ago = active.archived_ago(&request.tools).await;
        let ago = ago.context("ask when WAL was archived last")?;
        terminal::note("waiting until the archive has all of it");
        (ago, Some(active.archive_everything(&request.tools).await?))
    } else {
        terminal::note("the cell does not run: restoring what is in the archive");
        (None, scratch.newest_timeline().await?)
    };
    let goal = match (&reference, &request.to) {
        (Some(reference), _) => Goal::Position(reference.position.clone()),
        (None, To::Time(moment)) => Goal::Time(*moment),
        (None, To::Latest) => Goal::End,
    };
    let label = scratch.restore(&goal, timeline).await?;
    scratch.start().await?;
    let restored = checksum::of(&request.tools, &scratch.socket(), None)
        .await
        .context("count the restored rows")?;
    let seconds = BootTime::now().since(begun).as_secs_f64();
    let report =
        Report { request, scratch, goal: &goal, label, seconds, archived_ago, restored, reference };
    let differs = report.compared().is_some_and(|compared| !compared.all_same());
    if args.json {
        terminal::print(&format!("{:#}", report.json()))?;
    } else {
        terminal::print(&report.text())?;
    }
    if differs {
        return Ok(Outcome::Differs);
    }
    if !args.check {
        terminal::note(&scratch.how_to_connect());
        std::future::pending::<()>().await;
    }
    Ok(Outcome::Done)
}

struct Report<'a> {
    request: &'a Request,
    scratch: &'a Scratch<'a>,
    goal: &'a Goal,
    /// The base backup it began with.
    label: String,
    seconds: f64,
    /// How long before that the archive had ended.
    archived_ago: Option<Duration>,
    restored: Checksums,
    reference: Option<Reference>,
}

impl Report<'_> {
    fn compared(&self) -> Option<Compared> {
        let reference = self.reference.as_ref()?;
        Some(checksum::compare(&self.restored, &reference.checksums))
    }

    fn text(&self) -> String {
        let (cell, goal, label, seconds) =
            (&self.request.cell, self.goal, &self.label, self.seconds);
        let mut lines =
            vec![format!("{cell} as of {goal}, from base backup {label}, in {seconds:.1} s")];
        if let Some(ago) = self.archived_ago {
            let ago = ago.as_secs_f64();
            lines.push(format!(
                "the archive had ended {ago:.1} s before, and was brought up to date"
            ));
        }
        lines.push(format!("{:<32}{:>12}  {:<18}", "table", "rows", "checksum"));
        let compared = self.compared();
        for (table, sum) in &self.restored.0 {
            let verdict = match &compared {
                Some(compared) if compared.differing.contains(table) => "DIFFERS",
                Some(_) => "same",
                None => "",
            };
            lines.push(format!("{table:<32}{:>12}  {:<18}{verdict}", sum.rows, sum.hash));
        }
        if let (Some(compared), Some(reference)) = (compared, &self.reference) {
            let missing = compared.missing.iter().map(|table| format!("{table:<32}IS MISSING"));
            lines.extend(missing);
            let site = &reference.site;
            lines.push(if compared.all_same() {
                format!("all {} tables are the same as in {site} then", self.restored.0.len())
            } else {
                format!("NOT the same as in {site} then")
            });
        }
        lines.join("\n")
    }

    fn json(&self) -> serde_json::Value {
        let compared = self.compared();
        let tables: Vec<_> = self
            .restored
            .0
            .iter()
            .map(|(table, sum)| {
                let same = compared.as_ref().map(|compared| !compared.differing.contains(table));
                json!({ "table": table, "rows": sum.rows, "checksum": sum.hash, "same": same })
            })
            .collect();
        json!({
            "cell": self.request.cell.as_str(), "to": self.goal.to_string(),
            "base_backup": self.label, "seconds": self.seconds,
            "archived_ago_seconds": self.archived_ago.map(|ago| ago.as_secs_f64()),
            "folder": self.scratch.folder, "port": self.scratch.port,
            "compared_with": self.reference.as_ref().map(|reference| reference.site.to_string()),
            "same": compared.as_ref().map(Compared::all_same),
            "missing": compared.map(|compared| compared.missing),
            "tables": tables,
        })
    }
}
