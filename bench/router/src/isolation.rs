//! How much the users of other cells notice while one cell is slow and flooded.
//!
//! Users of the other cells ask at a fixed rate, in each round three times over:
//!
//! ```text
//!   quiet           nobody asks for the sick cell
//!   well            it is asked over more connections than its share of the router, over each every
//!                   two seconds, and answers at once
//!   slow            it is asked likewise, and answers after 30 s
//! ```
//!
//! The last two have the same connections and users, so that what differs is what a sick cell costs the
//! well ones: that is bounded. Beside the first stands what the flood costs them too, which is what as
//! many users of a well cell cost, and is told without a bound.

mod slow_cell;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use topology::Slot;

use crate::app::{say, setting};
use crate::figure::Figure;
use crate::load::{Flood, Requests, paced};
use crate::memory;
use crate::process::Process;
use crate::proxy::router;
use crate::round::percentile;
use crate::shape::Shape;
use crate::sites;
use crate::users::{User, users};
use slow_cell::SlowCell;

/// More than a cell's share of the requests that a router has under way (3,000 among three cells).
const FLOOD: u32 = 2000;
/// Requests a second of the users of the other cells.
const RATE: u32 = 1000;
/// Until everybody of the flood has asked, and the share is full.
const SETTLE: Duration = Duration::from_secs(3);
/// What the sick cell may cost the others.
const GOAL: f64 = 1.2;
const SICK: &str = "c1";

/// Measures and prints it; an error if the goal is missed.
pub fn run() -> anyhow::Result<()> {
    let rounds: usize = setting("ROUNDS", 9)?;
    let duration = Duration::from_secs(setting("SECONDS", 5)?);
    let program = setting("ROUTER", PathBuf::from("target/dist/router").display().to_string())?;
    let (proxy_core, load_core) = (setting("PROXY_CORE", 0)?, setting("LOAD_CORE", 1)?);
    memory::raise_file_limit()?;
    let folder = env::temp_dir().join(format!("bulkhead-isolation-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let _sites = sites::start(&folder, load_core)?;
    let slow = SlowCell::start()?;
    let mut gateways = sites::all()?;
    gateways[0] = slow.address();
    let address = SocketAddr::from(([127, 0, 0, 1], 18_021));
    let words = router::prepare(&folder, address, program.as_ref(), &gateways)?;
    let log = folder.join("log");
    let _router = Process::start(proxy_core, words.iter().map(String::as_str), &log, address)?;

    let (sick, well) = by_cell(users(setting("USERS", 20_000)?)?)?;
    let (sick, well) = (Requests::new(Shape::Small, &sick), Requests::new(Shape::Small, &well));
    let mut measured = Measured::default();
    let (mut answered, mut refused) = (0, 0);
    for round in 0..rounds {
        let ask = || {
            sleep(SETTLE);
            Ok::<_, anyhow::Error>(percentile(paced(address, &well, RATE, duration)?, 99))
        };
        measured.quiet.push(ask()?);
        let flood = Flood::start(address, &sick, FLOOD);
        measured.well.push(ask()?);
        slow.be_slow(true);
        measured.slow.push(ask()?);
        slow.be_slow(false);
        let counts = flood.stop();
        (answered, refused) = (answered + counts.0, refused + counts.1);
        say(&format!("round {} of {rounds}", round + 1));
    }
    say(&format!("{}\n{SICK}: {answered} answered, {refused} refused", measured.table()));
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    ensure!(refused > 0, "flood {SICK}: its share was never full");
    ensure!(
        measured.of_slowness().median() < GOAL,
        "keep the others' p99 below {GOAL} times as long"
    );
    Ok(())
}

/// The other cells' p99 in microseconds, a value for each round.
#[derive(Default)]
struct Measured {
    quiet: Figure,
    well: Figure,
    slow: Figure,
}

impl Measured {
    /// Returns what the cell's being slow costs, beside the same flood on a well one.
    fn of_slowness(&self) -> Figure {
        self.slow.over(&self.well)
    }

    fn table(&self) -> String {
        let Self { quiet, well, slow } = self;
        let (of_slowness, of_all) = (self.of_slowness(), slow.over(quiet));
        format!(
            "| p99 of the other cells, µs | no flood | {SICK} flooded and well | {SICK} flooded and slow \
             | slow ÷ well | slow ÷ no flood |\n|---|---|---|---|---|---|\n\
             | {RATE} requests a second, {FLOOD} connections on {SICK} | {quiet} | {well} | {slow} \
             | {of_slowness} | {of_all} |\n"
        )
    }
}

/// Returns the users of the cell that is slow, and those of all others.
fn by_cell(users: Vec<User>) -> anyhow::Result<(Vec<User>, Vec<User>)> {
    let placement = router::placement()?;
    let is_sick = |user: &User| placement.cell_of(Slot::of(&user.name)).to_string() == SICK;
    Ok(users.into_iter().partition(is_sick))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowness_is_held_against_the_same_flood_and_shown_beside_none() {
        let mut measured = Measured::default();
        for factor in [1.0, 2.0] {
            measured.quiet.push(100.0 * factor);
            measured.well.push(200.0 * factor);
            measured.slow.push(220.0 * factor);
        }
        assert_eq!(measured.of_slowness().to_string(), "1.10 (1.10–1.10)");
        let expected = "| 200 (100–200) | 400 (200–400) | 440 (220–440) | 1.10 (1.10–1.10) | 2.20 (2.20–2.20) |";
        let table = measured.table();
        let row = table.lines().last().unwrap();
        assert!(row.ends_with(expected), "{row}");
        let columns = |line: &str| line.matches('|').count();
        assert!(table.lines().all(|line| columns(line) == columns(row)), "{table}");
    }
}
