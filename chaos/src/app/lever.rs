//! `chaos lever`.

use std::path::Path;

use runtime::run_dir::run_dir;

use crate::cli::{LeverArgs, LeverCommand};
use crate::exit::Exit;
use crate::lever::{self, EtcdHalf, Set};
use crate::terminal::{complain, print};

pub(super) async fn lever(args: &LeverArgs) -> anyhow::Result<Exit> {
    match &args.how {
        None => {
            let seen = lever::look_in(&run_dir(args.place.run_dir.clone())?).await;
            let file = seen.file.as_ref();
            let file = file.map_or_else(|| "released".to_owned(), |why| format!("pulled: {why}"));
            print(&format!("file: {file}\netcd: {}", seen.etcd))?;
            Ok(if seen.pulled().is_some() { Exit::Refused } else { Exit::Pass })
        }
        Some(LeverCommand::Pull { reason, place }) => {
            let run_dir = run_dir(place.run_dir.clone())?;
            tell_pull(&run_dir, lever::pull(&run_dir, reason).await)
        }
        Some(LeverCommand::Release { place }) => {
            let run_dir = run_dir(place.run_dir.clone())?;
            tell_release(&run_dir, &lever::release(&run_dir).await?)
        }
    }
}

fn tell_pull(run_dir: &Path, set: Set) -> anyhow::Result<Exit> {
    if let Some(before) = set.before() {
        print(&format!("it was pulled already, and one release ends both: {before}"))?;
    }
    match (set.file, set.etcd) {
        (Ok(_), EtcdHalf::Set(_)) => print("pulled: drills that run are stopped, and none starts")?,
        (Ok(_), EtcdHalf::NoPlatform) => print(&format!(
            "pulled in {}: no drill starts there; no platform runs there whose etcd could say so",
            run_dir.display()
        ))?,
        (Ok(_), EtcdHalf::Failed(why)) => complain(&format!(
            "pulled in the file alone, which stops drills of this run directory; those of other \
             machines go on: pull it again once etcd answers: failed to {why:#}"
        )),
        (Err(file), EtcdHalf::Set(_)) => {
            return Err(file.context(
                "pull it in the file; it is pulled in etcd, which stops drills as long as etcd answers",
            ));
        }
        (Err(file), EtcdHalf::NoPlatform) => return Err(file),
        (Err(file), EtcdHalf::Failed(why)) => {
            complain(&format!("it is not pulled in etcd: failed to {why:#}"));
            return Err(file);
        }
    }
    Ok(Exit::Pass)
}

fn tell_release(run_dir: &Path, set: &Set) -> anyhow::Result<Exit> {
    let before = set.before();
    if let Some(before) = &before {
        print(&format!("it was pulled: {before}"))?;
    }
    match &set.etcd {
        EtcdHalf::Set(_) => print("released")?,
        EtcdHalf::NoPlatform => print(&format!(
            "{} in {}; no platform runs there, and if its etcd has it pulled it stays so: \
             `chaos lever` tells once it runs",
            if before.is_some() { "released" } else { "it was not pulled" },
            run_dir.display()
        ))?,
        EtcdHalf::Failed(why) => {
            complain(&format!(
                "released in the file alone; etcd is not reached, where it may be pulled: release \
                 it again once etcd answers: failed to {why:#}"
            ));
            return Ok(Exit::Refused);
        }
    }
    Ok(Exit::Pass)
}
