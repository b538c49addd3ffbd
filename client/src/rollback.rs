//! A person's order to route by an earlier generation, beside the generations: it needs neither etcd
//! nor the control plane, and lasts over a restart.
//!
//! It names the version that was rolled back from, and ends when a newer one has come: that one was
//! made by somebody who knew better. What it brings back, and what not, is for
//! [`Snapshot::rolled_back`](topology::Snapshot::rolled_back).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use topology::Version;

const NAME: &str = "rollback.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The newest version there was when the order was given.
    pub from: Version,
    /// The generation to route by.
    pub to: Version,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    from: u64,
    to: u64,
}

impl Rollback {
    /// Reads the order in a folder of generations, if there is one.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = path(folder);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err).with_context(|| format!("read {}", path.display())),
        };
        let record: Record = serde_json::from_slice(&text)
            .with_context(|| format!("understand {}", path.display()))?;
        Ok(Some(Self { from: Version(record.from), to: Version(record.to) }))
    }

    /// Gives the order.
    pub fn write(self, folder: &Path) -> anyhow::Result<()> {
        let record = Record { from: self.from.0, to: self.to.0 };
        let text = serde_json::to_vec(&record).context("write a rollback as JSON")?;
        let path = path(folder);
        runtime::file::replace(&path, &text, 0o644)
            .with_context(|| format!("write {}", path.display()))
    }

    /// Takes it back. There may be none any more.
    pub fn end(folder: &Path) -> anyhow::Result<()> {
        let path = path(folder);
        match fs::remove_file(&path) {
            Err(err) if err.kind() != ErrorKind::NotFound => {
                Err(err).with_context(|| format!("remove {}", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}
