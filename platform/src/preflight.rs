//! Everything that would stop a start, said at once and before anything starts.

mod addresses;
mod drills;
mod folder;
mod programs;

use topology::Spec;

pub(crate) use programs::{Programs, newest_postgres, on_path, postgres_owner};

use crate::cli::WorldArgs;
use crate::run_dir::RunDir;
use crate::volumes;

/// Returns the programs to start, or every problem found.
pub(crate) fn check(
    spec: &Spec,
    world: &WorldArgs,
    run_dir: &RunDir,
) -> Result<Programs, Vec<String>> {
    let (programs, mut problems) = match programs::find() {
        Ok(programs) => (Some(programs), Vec::new()),
        Err(problems) => (None, problems),
    };
    problems.extend(folder::problems(run_dir.path()));
    problems.extend(addresses::problems(spec));
    if spec.is_emulated {
        let missing = runtime::emulation::missing();
        problems.extend(missing.into_iter().map(|what| format!("emulate a WAN: {what}")));
    }
    problems.extend(world.drills.as_deref().and_then(drills::problem));
    let are_there = volumes::are_there(run_dir).unwrap_or_else(|err| {
        problems.push(format!("give databases volumes: {err:#}"));
        false
    });
    if world.volumes.is_some() || are_there {
        let missing = volumes::missing();
        problems.extend(missing.into_iter().map(|what| format!("give databases volumes: {what}")));
    }
    if world.clocks {
        problems.extend(runtime::fake_clock::library().err());
    }
    match programs {
        Some(programs) if problems.is_empty() => Ok(programs),
        Some(_) | None => Err(problems),
    }
}

/// Finds the programs alone, for those who start something beside a platform.
pub(crate) fn programs() -> Result<Programs, Vec<String>> {
    programs::find()
}
