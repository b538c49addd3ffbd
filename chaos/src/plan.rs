//! What a drill would do, to what, and what it may cost at most; nothing is done.

use std::time::Duration;

use crate::control_plane::{Cell, ControlPlane};
use crate::drill::{Drill, Expect};
use crate::exit::Exit;
use crate::fault::settle;
use crate::platform::Platform;
use crate::terminal::{complain, print};

/// Prints the plan of each drill, as the cells are now.
pub(crate) async fn print_all(
    platform: &Platform,
    drills: &[Drill],
    seed: Option<u64>,
) -> anyhow::Result<Exit> {
    let cells = ControlPlane::new(platform, None)?.cells().await?;
    let mut exit = Exit::Pass;
    for drill in drills {
        match plan(drill, &cells, seed.unwrap_or(drill.seed)) {
            Ok(lines) => print(&lines.join("\n"))?,
            Err(why) => {
                complain(&format!("{}: {why}", drill.name));
                exit = exit.max(Exit::Refused);
            }
        }
    }
    Ok(exit)
}

/// Returns the plan as lines, or why the drill would be refused.
fn plan(drill: &Drill, cells: &[Cell], seed: u64) -> Result<Vec<String>, String> {
    let mut lines = vec![format!("{}: {} (seed {seed})", drill.name, drill.title)];
    let mut lasting = Duration::ZERO;
    for action in &drill.actions {
        let target = settle(&action.fault, cells, seed);
        let target = target.map_err(|why| format!("no target: {why}"))?;
        if let Some(beyond) = target.beyond(&drill.scope) {
            return Err(beyond);
        }
        lasting += action.before + action.after;
        let hit: Vec<String> = target.cells().keys().map(ToString::to_string).collect();
        let hit = if hit.is_empty() { "nobody".to_owned() } else { hit.join(", ") };
        let kind = action.fault.kind();
        lines.push(format!(
            "  after {:.1?}: {kind} of {target}; hits users of {hit}{}",
            action.before,
            if action.is_together { "; the next one at the same time" } else { "" }
        ));
        if action.expect == Expect::RefuseWrites {
            lines.push("    from then on writes are to be refused".to_owned());
        }
        lines.push(format!(
            "    taken away {}, after {:.0?} whatever happens",
            action.fault.taken_away(),
            action.ttl
        ));
    }
    if let Some(repeat) = &drill.repeat {
        lasting = repeat.lasting;
        lines.push(format!("  again and again, every {:.0?}", repeat.every));
    }
    let load = &drill.load;
    let streams = match load.streams {
        0 => String::new(),
        count => format!(", {count} of whom hold a stream"),
    };
    lines.push(format!("  load: {} requests a second of {} users{streams}", load.rate, load.users));
    lines.push(format!(
        "  takes {:.0?}, and until every cell is redundant",
        lasting + drill.after_heal
    ));
    let claims =
        drill.limits.iter().map(|(measure, limit)| format!("{} ≤ {limit}", measure.name()));
    lines.push(format!("  fails beyond: {}", claims.collect::<Vec<_>>().join(", ")));
    let checks: Vec<&str> = drill.checks.iter().map(|check| check.name()).collect();
    lines.push(format!("  checks: {}", checks.join(", ")));
    Ok(lines)
}
