//! `chaos lever`.

use runtime::run_dir::run_dir;

use crate::cli::{LeverArgs, LeverCommand};
use crate::exit::Exit;
use crate::lever::{self, Set};
use crate::platform::Platform;
use crate::terminal::{complain, print};

pub(super) async fn lever(args: &LeverArgs) -> anyhow::Result<Exit> {
    match &args.how {
        None => {
            let run_dir = run_dir(args.place.run_dir.clone())?;
            let seen = lever::look(&run_dir, Platform::find(&run_dir)?.as_ref()).await;
            let file = seen.file.as_ref();
            let file = file.map_or_else(|| "released".to_owned(), |why| format!("pulled: {why}"));
            print(&format!("file: {file}\netcd: {}", seen.etcd))?;
            Ok(if seen.pulled().is_some() { Exit::Refused } else { Exit::Pass })
        }
        Some(LeverCommand::Pull { reason, place }) => {
            match lever::pull(&run_dir(place.run_dir.clone())?, reason).await? {
                Set::Both => print("pulled: drills that run are stopped, and none starts")?,
                Set::NoPlatform => {
                    print(
                        "pulled: no drill starts here; no platform runs whose etcd could say so",
                    )?;
                }
                Set::FileAlone(why) => complain(&format!(
                    "pulled in the file alone, which stops drills of this run directory; etcd is not \
                     reached: failed to {why:#}"
                )),
            }
            Ok(Exit::Pass)
        }
        Some(LeverCommand::Release { place }) => {
            let (was_pulled, set) = lever::release(&run_dir(place.run_dir.clone())?).await?;
            match set {
                Set::Both => print("released")?,
                Set::NoPlatform => {
                    print(if was_pulled { "released" } else { "it was not pulled" })?;
                }
                Set::FileAlone(why) => {
                    complain(&format!(
                        "released in the file alone; etcd is not reached, where it may be pulled: \
                         release it again once etcd answers: failed to {why:#}"
                    ));
                    return Ok(Exit::Refused);
                }
            }
            Ok(Exit::Pass)
        }
    }
}
