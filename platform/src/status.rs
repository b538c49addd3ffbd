//! `platform status`: what runs, and where each cell is active.

use serde_json::json;
use topology::Spec;
use topology::wire::fleet::Fleet;

use crate::app::Outcome;
use crate::decide::readiness::{Seen, missing};
use crate::disk;
use crate::machine::Process;
use crate::readiness::Observer;
use crate::run_dir::RunDir;
use crate::terminal;

pub(crate) async fn status(run_dir: &RunDir, json: bool) -> anyhow::Result<Outcome> {
    let known = (run_dir.supervisor()?, disk::fleet(run_dir)?, disk::applied_spec(run_dir)?);
    let (Some(supervisor), Some(fleet), Some(spec)) = known else {
        let folder = run_dir.path().display();
        if json {
            terminal::print(&json!({ "running": false, "run_dir": run_dir.path() }).to_string())?;
        } else {
            terminal::print(&format!("nothing runs in {folder}"))?;
        }
        return Ok(Outcome::NotRunning);
    };
    let seen = Observer::new(&spec, run_dir)?.look().await;
    let text = if json {
        let document = document(run_dir, supervisor, &fleet, &spec, &seen);
        format!("{document:#}")
    } else {
        text(&fleet, &spec, &seen)
    };
    terminal::print(&text)?;
    Ok(Outcome::Done)
}

fn document(
    run_dir: &RunDir,
    supervisor: Process,
    fleet: &Fleet,
    spec: &Spec,
    seen: &Seen,
) -> serde_json::Value {
    let missing: Vec<String> =
        missing(spec, seen).into_iter().map(|missing| missing.what).collect();
    let cells: Option<Vec<_>> = seen.cells.as_ref().map(|cells| {
        let line = |cell: &crate::decide::readiness::CellSeen| {
            json!({
                "cell": cell.id, "active": cell.active, "phase": cell.phase, "epoch": cell.epoch,
                "redundant": cell.redundant, "reason": cell.reason,
            })
        };
        cells.iter().map(line).collect()
    });
    json!({
        "running": true, "run_dir": run_dir.path(), "supervisor": supervisor.pid,
        "serving": missing.is_empty(), "missing": missing, "cells": cells,
        "processes": fleet.processes,
    })
}

fn text(fleet: &Fleet, spec: &Spec, seen: &Seen) -> String {
    let mut lines =
        vec![format!("{:<24}{:>8}  {:>8}  {}", "process", "pid", "restarts", "address")];
    for process in &fleet.processes {
        let pid = process.pid.map_or_else(|| "down".to_owned(), |pid| pid.to_string());
        let address = process.address.map(|address| address.to_string()).unwrap_or_default();
        let (name, restarts) = (&process.name, process.restarts);
        lines.push(format!("{name:<24}{pid:>8}  {restarts:>8}  {address}"));
    }
    lines.push(String::new());
    for cell in seen.cells.iter().flatten() {
        let active = cell.active.as_deref().unwrap_or("-");
        let redundant = if cell.redundant { "redundant" } else { "not redundant" };
        let (id, phase, epoch) = (&cell.id, &cell.phase, cell.epoch);
        lines.push(format!("{id:<8}active in {active:<10}{phase}, epoch {epoch}, {redundant}"));
    }
    let missing = missing(spec, seen);
    lines.extend(missing.iter().map(|missing| format!("missing: {}", missing.what)));
    lines.join("\n")
}
