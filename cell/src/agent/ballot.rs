//! The highest epoch this site has voted for, on disk before anybody is told.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use topology::Epoch;

pub(crate) struct Ballot {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    voted: u64,
}

impl Ballot {
    #[must_use]
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reads the last vote; epoch 0 if there was none. A file that cannot be understood is an error:
    /// a voter that forgot its vote must not vote.
    pub(crate) fn read(&self) -> anyhow::Result<Epoch> {
        match std::fs::read(&self.path) {
            Ok(text) => {
                let record: Record = serde_json::from_slice(&text)
                    .with_context(|| format!("understand {}", self.path.display()))?;
                Ok(Epoch(record.voted))
            }
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(Epoch(0)),
            Err(err) => Err(err).with_context(|| format!("read {}", self.path.display())),
        }
    }

    /// Puts a vote on disk.
    pub(crate) fn write(&self, voted: Epoch) -> anyhow::Result<()> {
        let record = serde_json::to_vec(&Record { voted: voted.0 }).context("write the vote")?;
        runtime::file::replace(&self.path, &record, 0o600)
            .with_context(|| format!("write {}", self.path.display()))
    }
}
