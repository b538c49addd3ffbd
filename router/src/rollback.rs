//! `router rollback`: look at the generations of the routers on this disk, and go back to one.
//!
//! Works on files alone, with etcd, the control plane and the routers themselves gone; a running router
//! heeds the order within a second. What comes back and what does not is `docs/decisions/0008`.

mod listing;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use client::last_known_good::LastKnownGood;
use client::rollback::Rollback;
use topology::snapshot::MOVES_MAX;
use topology::{SLOTS, Version};

use listing::Listing;

#[derive(Args)]
#[command(after_help = "Examples:
  router rollback --run-dir /var/lib/bulkhead               lists the generations
  router rollback --run-dir /var/lib/bulkhead --to 1042     routes by generation 1042 again
  router rollback --run-dir /var/lib/bulkhead --end         routes by the newest one again
  router rollback --run-dir /var/lib/bulkhead --json | jq '.[0].generations[].version'

Brings back placement and addresses; versions and epochs never go back. Ends by itself when a newer
version comes from etcd. Exit codes: 0 done, 1 failure.")]
pub(crate) struct Flags {
    /// Where the routers keep their generations.
    #[arg(long, env = "BULKHEAD_RUN_DIR")]
    run_dir: PathBuf,
    /// Only this router [default: all that have generations here].
    #[arg(long)]
    id: Option<u16>,
    /// The version to go back to; without it, the generations are listed.
    #[arg(long, conflicts_with = "end")]
    to: Option<u64>,
    /// Take a rollback back.
    #[arg(long)]
    end: bool,
    /// Go back even if that gives more than 5 % of the slots another cell.
    #[arg(long, requires = "to")]
    accept_moves: bool,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Does what the flags say, for each router.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let folders = folders(flags)?;
    // All are looked at before any is changed: either every router goes back or none.
    let mut orders = Vec::new();
    if let Some(to) = flags.to {
        for (id, folder) in &folders {
            let order = order(folder, Version(to), flags.accept_moves)
                .with_context(|| format!("roll router {id} back to {to}"))?;
            orders.push((folder, order));
        }
    }
    for (folder, order) in orders {
        order.write(folder)?;
    }
    if flags.end {
        for (_, folder) in &folders {
            Rollback::end(folder)?;
        }
    }
    let now = runtime::clock::unix_millis();
    let listings: Vec<Listing> = folders
        .iter()
        .map(|(id, folder)| Listing::of(*id, folder, now))
        .collect::<Result<_, _>>()?;
    let text = if flags.json {
        serde_json::to_string_pretty(&listings).context("write JSON")? + "\n"
    } else {
        listings.iter().map(ToString::to_string).collect()
    };
    std::io::stdout().write_all(text.as_bytes()).context("print")
}

/// Returns each router's number and its folder of generations.
fn folders(flags: &Flags) -> anyhow::Result<Vec<(u16, PathBuf)>> {
    let routers = flags.run_dir.join("routers");
    let entries = std::fs::read_dir(&routers).with_context(|| {
        format!("look into {}; is --run-dir where the routers run", routers.display())
    })?;
    let mut folders: Vec<(u16, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("snapshots")))
        })
        .filter(|(id, folder)| flags.id.is_none_or(|only| only == *id) && folder.is_dir())
        .collect();
    folders.sort();
    if folders.is_empty() {
        let which = flags.id.map_or("any router".to_owned(), |id| format!("router {id}"));
        bail!("find generations of {which} in {}", routers.display());
    }
    Ok(folders)
}

/// Returns the order that brings a router back to a version, if that makes a table to route by.
fn order(folder: &Path, to: Version, accept_moves: bool) -> anyhow::Result<Rollback> {
    let kept = LastKnownGood::look(folder.to_owned());
    let newest = kept.newest().context("find a whole generation")?;
    if to >= newest.version {
        bail!("go back: {} is the newest generation; --end takes a rollback back", newest.version);
    }
    let back = kept.roll_back(&newest, to)?;
    let moved = back.placement.moved(&newest.placement).len();
    if moved > MOVES_MAX && !accept_moves {
        bail!(
            "give {moved} of {SLOTS} slots another cell: their users would be sent where their data \
             may not be; --accept-moves says that it is"
        );
    }
    Ok(Rollback { from: newest.version, to })
}
