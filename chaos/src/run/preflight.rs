//! Before anything is broken: every cell is whole, users are there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use crate::control_plane::{Cell, ControlPlane};
use crate::course::Course;
use crate::drill::Probe;
use crate::fault::{Target, settle};
use crate::load::{self, Client};

/// A platform that has just been started, or has just been through a drill, becomes whole within
/// this.
const WHOLE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Ready {
    pub(super) control_plane: ControlPlane,
    pub(super) target: Target,
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
    if let Some(why) = run.drill.lacks(spec.is_emulated) {
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
    let settled = settle(&first.fault, &cells, run.drill.seed);
    let target = match settled {
        Ok(target) => target,
        Err(why) => {
            course.unsteady = vec![format!("no target: {why}")];
            return Ok(None);
        }
    };
    let control_plane = ControlPlane::new(run.platform, target.region())?;
    let mut client = Client::new(spec.edge.listen, run.id);
    let key = &run.platform.identity_key;
    match load::users(&mut client, spec, key, &run.drill.load).await {
        Ok(users) => course.users = users,
        Err(err) => {
            course.unsteady = vec![format!("failed to {err:#}")];
            return Ok(None);
        }
    }
    Ok(Some(Ready { control_plane, target, client: Arc::new(client) }))
}

/// Waits until every cell is redundant, if the drill asks for that.
async fn whole(run: &Run<'_>, control_plane: &ControlPlane) -> Result<Vec<Cell>, String> {
    let redundant = run.drill.steady_state.iter().find_map(|probe| match probe {
        Probe::Redundant { name } => Some(name),
        Probe::OkRatio { .. } => None,
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
