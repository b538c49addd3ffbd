//! Before anything is broken: every cell is whole, users are there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use super::settled::settled;
use crate::control_plane::{Cell, ControlPlane};
use crate::course::Course;
use crate::drill::{Action, Drill, Probe};
use crate::fault::{Target, settle};
use crate::history::User;
use crate::load::{self, Client};
use crate::versions;

/// A platform that has just been started, or has just been through a drill, becomes whole within
/// this.
const WHOLE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Ready {
    pub(super) control_plane: ControlPlane,
    pub(super) target: Target,
    /// Settles whom later actions hit, too.
    pub(super) seed: u64,
    pub(super) client: Arc<Client>,
}

/// Returns what the run works with; `None`, with the reasons recorded, where nothing may be broken.
pub(super) async fn preflight(run: &Run<'_>, course: &mut Course) -> anyhow::Result<Option<Ready>> {
    run.terminal.phase("preflight", "redundancy, users");
    let spec = &run.platform.spec;
    let cells = match whole(run, &ControlPlane::new(run.platform, None)?).await {
        Ok(cells) => cells,
        Err(why) => {
            course.unsteady = vec![why];
            return Ok(None);
        }
    };
    course.versions = Box::pin(versions::read(run.platform)).await;
    if let Some(why) = run.drill.lacks(run.platform.offers()) {
        course.unsteady = vec![format!("no target: {why}")];
        return Ok(None);
    }
    // Its cells would have one place less to go to than the claims suppose.
    if let Some(region) = ControlPlane::new(run.platform, None)?.drained().await?.first() {
        course.unsteady =
            vec![format!("{region} is drained; bulkhead undrain {region}, or restore {region}")];
        return Ok(None);
    }
    let Some(first) = run.drill.actions.first() else {
        course.unsteady = vec!["no target: the drill does nothing".to_owned()];
        return Ok(None);
    };
    if let Some(why) = beyond(run.drill, &cells) {
        course.refused = Some(why);
        return Ok(None);
    }
    // Users that nobody can hit are not made.
    let own = match settle(&first.fault, &cells, run.drill.seed) {
        Ok(target) => target,
        Err(why) => {
            course.unsteady = vec![format!("no target: {why}")];
            return Ok(None);
        }
    };
    let mut client = Client::new(spec.edge.listen, run.id);
    let key = &run.platform.identity_key;
    match load::users(&mut client, spec, key, &run.drill.load).await {
        Ok(users) => course.users = users,
        Err(err) => {
            course.unsteady = vec![format!("failed to {err:#}")];
            return Ok(None);
        }
    }
    match target(run, first, own, &course.users).await? {
        Ok((target, seed)) => {
            course.seed = Some(seed);
            let control_plane = ControlPlane::new(run.platform, target.region())?;
            Ok(Some(Ready { control_plane, target, seed, client: Arc::new(client) }))
        }
        Err(why) => {
            course.unsteady = vec![why];
            Ok(None)
        }
    }
}

/// Returns why one of the actions is more than the drill may break, as far as its target can be told by where
/// the cells are now; each is looked at again when it is its turn.
fn beyond(drill: &Drill, cells: &[Cell]) -> Option<String> {
    drill.actions.iter().find_map(|action| {
        // One that nobody is hit by yet may have its target by then.
        settle(&action.fault, cells, drill.seed).ok()?.beyond(&drill.scope)
    })
}

/// Returns whom the first action hits, and the seed that says so: the drill's own and its target, unless the
/// drill asks for a cell that control planes would move.
async fn target(
    run: &Run<'_>,
    first: &Action,
    own: Target,
    users: &[User],
) -> anyhow::Result<Result<(Target, u64), String>> {
    let asked = run.drill.steady_state.iter().find_map(|probe| match probe {
        Probe::Settled { name } => Some(name),
        Probe::Redundant { .. } | Probe::OkRatio { .. } => None,
    });
    let Some(name) = asked else { return Ok(Ok((own, run.drill.seed))) };
    let control_plane = ControlPlane::new(run.platform, None)?;
    let seed = match settled(run, &control_plane, users, &first.fault).await {
        Ok(seed) => seed,
        Err(why) => return Ok(Err(format!("steady state {name}: {why}"))),
    };
    let settled = settle(&first.fault, &control_plane.cells().await?, seed);
    Ok(settled.map(|target| (target, seed)).map_err(|why| format!("no target: {why}")))
}

/// Waits until every cell is redundant, if the drill asks for that.
async fn whole(run: &Run<'_>, control_plane: &ControlPlane) -> Result<Vec<Cell>, String> {
    let redundant = run.drill.steady_state.iter().find_map(|probe| match probe {
        Probe::Redundant { name } => Some(name),
        Probe::Settled { .. } | Probe::OkRatio { .. } => None,
    });
    let due = Instant::now() + WHOLE;
    loop {
        let cells = control_plane.cells().await;
        let trouble = match cells {
            Ok(cells) => match (redundant, cells.iter().find(|cell| !cell.redundant)) {
                (Some(name), Some(cell)) => {
                    format!("steady state {name}: {} is {}, not redundant", cell.id, cell.phase)
                }
                (None, _) | (_, None) => return Ok(cells),
            },
            Err(err) => format!("failed to {err:#}"),
        };
        if Instant::now() >= due {
            return Err(trouble);
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use topology::{Epoch, RegionId};

    use super::*;
    use crate::course::Tally;
    use crate::drill::catalogue::DRILLS;

    #[test]
    fn what_is_beyond_the_scope_is_refused_before_anything_is_broken() {
        let mut drill = drill("cell-loss");
        assert_eq!(beyond(&drill, &cells()), None);
        drill.scope.max_cells = 0;
        let why = beyond(&drill, &cells()).unwrap();
        assert!(why.ends_with(" has 1 active cells; scope.max-cells is 0"), "{why}");
    }

    #[test]
    fn so_is_what_only_a_later_action_would_do() {
        let mut drill = drill("cell-loss");
        drill.actions.extend(self::drill("region-loss").actions);
        drill.scope.max_regions = 0;
        let why = beyond(&drill, &cells()).unwrap();
        assert!(why.ends_with(" is a region; scope.max-regions is 0"), "{why}");
    }

    fn drill(name: &str) -> Drill {
        let (name, text) = DRILLS.iter().find(|(own, _)| *own == name).unwrap();
        Drill::parse(name, text).unwrap()
    }

    fn cells() -> Vec<Cell> {
        let regions: [RegionId; 3] =
            ["east", "north", "south"].map(|region| region.parse().unwrap());
        vec![Cell {
            id: "c1".parse().unwrap(),
            active: Some(regions[0].clone()),
            standbys: regions[1..].to_vec(),
            redundant: true,
            phase: "steady".to_owned(),
            tally: Tally { epoch: Epoch(1), rebuilt: 0 },
        }]
    }
}
