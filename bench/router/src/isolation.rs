//! How much the users of other cells notice while one cell is slow and flooded.
//!
//! One cell is asked over more connections than its share of the router, over each every two seconds; it
//! answers at once in one half of a round, and after 30 s in the other. Meanwhile users of the other
//! cells ask at a fixed rate. Both halves have the same connections and users, so that what differs is
//! what the sick cell costs the well ones.

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
    let flood = Flood::start(address, &sick, FLOOD);
    let (mut healthy, mut flooded) = (Figure::default(), Figure::default());
    for round in 0..rounds {
        for is_slow in [false, true] {
            slow.be_slow(is_slow);
            sleep(SETTLE);
            let waits = paced(address, &well, RATE, duration)?;
            let p99 = percentile(waits, 99);
            let figure = if is_slow { &mut flooded } else { &mut healthy };
            figure.push(p99);
        }
        say(&format!("round {} of {rounds}", round + 1));
    }
    slow.be_slow(false);
    let (answered, refused) = flood.stop();
    let ratio = flooded.over(&healthy);
    say(&format!(
        "| p99 of the other cells, µs | {SICK} well | {SICK} slow and flooded | ratio |\n|---|---|---|---|\n\
         | {RATE} requests a second, {FLOOD} connections on {SICK} | {healthy} | {flooded} | {ratio} |\n\n\
         {SICK}: {answered} answered, {refused} refused"
    ));
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    ensure!(refused > 0, "flood {SICK}: its share was never full");
    ensure!(ratio.median() < GOAL, "keep the others' p99 below {GOAL} times as long");
    Ok(())
}

/// Returns the users of the cell that is slow, and those of all others.
fn by_cell(users: Vec<User>) -> anyhow::Result<(Vec<User>, Vec<User>)> {
    let placement = router::placement()?;
    let is_sick = |user: &User| placement.cell_of(Slot::of(&user.name)).to_string() == SICK;
    Ok(users.into_iter().partition(is_sick))
}
