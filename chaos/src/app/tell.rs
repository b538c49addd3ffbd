//! What is only looked at: the machine, reports, histories, the checks themselves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::check::Check;
use crate::exit::Exit;
use crate::report::HISTORY;
use crate::terminal::print;
use crate::{
    compare as comparing, doctor as looking, edn, report as reports, selftest as testing, series,
};

pub(super) fn doctor(run_dir: Option<PathBuf>) -> anyhow::Result<Exit> {
    let mut exit = Exit::Pass;
    for need in looking::look(&runtime::run_dir::run_dir(run_dir)?) {
        match need.found {
            Ok(found) => print(&format!("✓ {:<15} {found}", need.name))?,
            Err(missing) => {
                exit = Exit::Refused;
                let (name, costs) = (need.name, need.costs);
                print(&format!("✗ {name:<15} {missing}\n  {:<15} without it: {costs}", ""))?;
            }
        }
    }
    Ok(exit)
}

pub(super) fn compare(a: &Path, b: &Path) -> anyhow::Result<Exit> {
    let (a, b) = (reports::read(a)?, reports::read(b)?);
    print(&comparing::lines(&a, &b).join("\n"))?;
    Ok(Exit::Pass)
}

pub(super) fn report(folder: &Path) -> anyhow::Result<Exit> {
    let document = reports::read(folder)?;
    print(&format!("{}: {} (seed {})", document.id, document.title, document.seed))?;
    for claim in &document.claims {
        let told = |value| reports::value_told(value, &claim.unit);
        let (measured, limit, goal) =
            (told(&claim.measured), told(&claim.limit), told(&claim.goal));
        let line = format!("{:<20} {measured:>10}  limit {limit:>8}  goal {goal:>8}", claim.name);
        print(&line)?;
    }
    for check in &document.checks {
        print(&format!("{}: {}", check.name, check.result))?;
    }
    for reason in &document.reasons {
        print(&format!("because: {reason}"))?;
    }
    print(&format!("{}: {}", document.drill, document.verdict))?;
    let page = reports::page_again(folder)?;
    print(&format!("report: {}", page.display()))?;
    Ok(Exit::Pass)
}

pub(super) fn table(runs: &[PathBuf]) -> anyhow::Result<Exit> {
    print(series::markdown(&series::of_reports(runs)?).trim_end())?;
    Ok(Exit::Pass)
}

pub(super) fn history(folder: &Path) -> anyhow::Result<Exit> {
    let path = folder.join(HISTORY);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    print(edn::of_history(&text)?.trim_end())?;
    Ok(Exit::Pass)
}

pub(super) fn selftest() -> anyhow::Result<Exit> {
    let mut exit = Exit::Pass;
    let names =
        |checks: &[Check]| checks.iter().map(|check| check.name()).collect::<Vec<_>>().join(", ");
    let alarms = testing::false_alarms();
    if !alarms.is_empty() {
        exit = Exit::Safety;
        print(&format!("✗ a history without defects does not pass {}", names(&alarms)))?;
    }
    for caught in testing::run() {
        let defect = &caught.defect;
        let sign = if caught.is_right() { "✓" } else { "✗" };
        if !caught.is_right() {
            exit = Exit::Safety;
        }
        let (name, meant) = (defect.name, defect.meant.name());
        print(&format!("{sign} {name:<26} meant for {meant}; caught by {}", names(&caught.by)))?;
        print(&format!("    {}", defect.what))?;
    }
    Ok(exit)
}
