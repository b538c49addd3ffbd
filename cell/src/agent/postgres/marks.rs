//! What is noted on disk beside a database: whether it may have what nobody else has.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use super::Postgres;

/// What is noted of a standby that has to be rebuilt, where nothing is of a primary.
const OUT_OF_LINE: &[u8] = b"standby";
/// The same of one that has what the cell went on without.
const APART: &[u8] = b"apart";

impl Postgres {
    /// Returns whether this data directory has been written as a primary since it was last in line
    /// with another site's: it may have WAL that nobody else has.
    #[must_use]
    pub(crate) fn was_primary(&self) -> bool {
        self.primary_marker().exists()
    }

    /// Notes on disk, before it happens, that the directory is written as a primary.
    pub(crate) fn mark_primary(&self) -> anyhow::Result<()> {
        runtime::file::replace(&self.primary_marker(), b"", 0o600)
            .context("note that this site is primary")
    }

    /// Notes that a standby has to be rebuilt. What it has came from an active site, which has it too.
    pub(crate) fn mark_out_of_line(&self) -> anyhow::Result<()> {
        self.mark(OUT_OF_LINE)
    }

    /// Notes that a standby has to be rebuilt, and has what the cell's history went on without.
    pub(crate) fn mark_apart(&self) -> anyhow::Result<()> {
        self.mark(APART)
    }

    fn mark(&self, what: &[u8]) -> anyhow::Result<()> {
        if self.was_primary() {
            return Ok(());
        }
        runtime::file::replace(&self.primary_marker(), what, 0o600)
            .context("note that this site is to be rebuilt")
    }

    /// Returns whether the directory may have what nobody else has: it was itself written as a primary,
    /// or has what the cell's history went on without.
    #[must_use]
    pub(crate) fn has_own_writes(&self) -> bool {
        fs::read(self.primary_marker()).is_ok_and(|noted| noted != OUT_OF_LINE)
    }

    /// Notes that everything written here is known to be elsewhere.
    pub(crate) fn unmark_primary(&self) -> anyhow::Result<()> {
        if self.was_primary() {
            fs::remove_file(self.primary_marker()).context("note that this site was primary")?;
        }
        Ok(())
    }

    fn primary_marker(&self) -> PathBuf {
        self.folder.join("was.primary")
    }
}
