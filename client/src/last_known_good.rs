//! The snapshots a process has served by, on its disk: the newest valid one is enough to start
//! with etcd and the control plane dead (I6).
//!
//! One file per version: a line with a checksum, then the snapshot. Written beside, flushed,
//! renamed; a torn or flipped file is passed over and the generation before it is used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use topology::wire::cell::CellRecord;
use topology::wire::placement::PlacementRecord;
use topology::{Snapshot, Version};
use tracing::warn;

/// How many generations are kept: enough to get behind a bad change and everything built on it.
const GENERATIONS: usize = 10;
const SCHEMA: u32 = 1;
const SUFFIX: &str = ".snapshot";
/// What `runtime::file` calls a file that is being written.
const UNFINISHED: &str = ".new";

/// A folder of generations.
#[derive(Clone, Debug)]
pub struct LastKnownGood {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Head {
    schema: u32,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    version: u64,
    /// When it was put to use here, in milliseconds since 1970; 0 in files that do not say.
    #[serde(default)]
    since: u64,
    placement: PlacementRecord,
    placement_version: u64,
    cells: BTreeMap<String, CellRecord>,
}

/// One generation on disk.
#[derive(Debug)]
pub struct Generation {
    pub version: Version,
    /// What it says, or why nobody can tell.
    pub content: Result<Content, String>,
}

#[derive(Debug)]
pub struct Content {
    pub snapshot: Snapshot,
    /// When it was put to use, in milliseconds since 1970.
    pub since: u64,
}

impl LastKnownGood {
    /// Opens the folder, which is made if it is missing, and clears away what a killed process left
    /// half written.
    pub fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let kept = Self { folder };
        for path in kept.files(UNFINISHED) {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(kept)
    }

    /// Looks into a folder that another process writes to.
    #[must_use]
    pub fn look(folder: PathBuf) -> Self {
        Self { folder }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns every generation, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Generation> {
        let files = self.generations().into_iter();
        files
            .filter_map(|path| {
                let version = path.file_stem()?.to_str()?.parse().ok().map(Version)?;
                Some(Generation { version, content: read(&path).map_err(|err| format!("{err:#}")) })
            })
            .collect()
    }

    /// Returns `newest` with the placement and addresses of an earlier generation.
    pub fn roll_back(&self, newest: &Snapshot, to: Version) -> anyhow::Result<Snapshot> {
        let mut last_seen = BTreeMap::new();
        let mut target = None;
        for generation in self.list() {
            let Ok(content) = generation.content else { continue };
            last_seen.extend(content.snapshot.cells.clone());
            if generation.version == to {
                target = Some(content.snapshot);
            }
        }
        let target = target.with_context(|| format!("find a whole generation {to}"))?;
        let back = newest.rolled_back(&target, &last_seen);
        back.check().context("accept what it makes")?;
        Ok(back)
    }

    /// Returns the newest generation that is whole and makes sense.
    #[must_use]
    pub fn newest(&self) -> Option<Snapshot> {
        self.generations().into_iter().rev().find_map(|path| match read(&path) {
            Ok(content) => Some(content.snapshot),
            Err(err) => {
                let error = format!("{err:#}");
                warn!(path = %path.display(), error, "snapshot on disk passed over");
                None
            }
        })
    }

    /// Keeps a snapshot, and forgets the oldest ones.
    pub fn keep(&self, snapshot: &Snapshot) -> anyhow::Result<()> {
        // Zero-padded: the order of the names is the order of the versions.
        let path = self.folder.join(format!("{:020}{SUFFIX}", snapshot.version.0));
        runtime::file::replace(&path, &encode(snapshot)?, 0o644)
            .with_context(|| format!("write {}", path.display()))?;
        let generations = self.generations();
        let surplus = generations.len().saturating_sub(GENERATIONS);
        for path in &generations[..surplus] {
            fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    /// The files, oldest first. A folder that cannot be read has none: the process can still learn
    /// the snapshot from etcd.
    fn generations(&self) -> Vec<PathBuf> {
        self.files(SUFFIX)
    }

    fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(err) => {
                warn!(folder = %self.folder.display(), error = %err, "snapshots not readable");
                return Vec::new();
            }
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with(suffix))
            .collect();
        paths.sort();
        paths
    }
}

fn encode(snapshot: &Snapshot) -> anyhow::Result<Vec<u8>> {
    let body = Body {
        version: snapshot.version.0,
        since: runtime::clock::unix_millis(),
        placement: PlacementRecord::from(&snapshot.placement),
        placement_version: snapshot.placement.version().0,
        cells: snapshot
            .cells
            .iter()
            .map(|(cell, routed)| (cell.to_string(), CellRecord::from(routed)))
            .collect(),
    };
    let body = serde_json::to_vec(&body).context("write the snapshot as JSON")?;
    let head = Head { schema: SCHEMA, sha256: checksum(&body) };
    let mut file = serde_json::to_vec(&head).context("write the snapshot's head as JSON")?;
    file.push(b'\n');
    file.extend(body);
    Ok(file)
}

fn read(path: &Path) -> anyhow::Result<Content> {
    decode(&fs::read(path).context("read the file")?)
}

fn decode(file: &[u8]) -> anyhow::Result<Content> {
    let line = file.iter().position(|byte| *byte == b'\n').context("find the head")?;
    let head: Head = serde_json::from_slice(&file[..line]).context("read the head")?;
    let body = &file[line + 1..];
    ensure!(head.schema == SCHEMA, "read schema {}", head.schema);
    ensure!(head.sha256 == checksum(body), "match the checksum");
    let body: Body = serde_json::from_slice(body).context("read the snapshot")?;
    let since = body.since;
    let snapshot = Snapshot {
        version: Version(body.version),
        placement: body
            .placement
            .into_placement(Version(body.placement_version))
            .context("read the placement")?,
        cells: body
            .cells
            .into_iter()
            .map(|(cell, record)| Ok((cell.parse()?, record.try_into()?)))
            .collect::<anyhow::Result<_>>()
            .context("read the cells")?,
    };
    snapshot.check().context("accept the snapshot")?;
    Ok(Content { snapshot, since })
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests;
