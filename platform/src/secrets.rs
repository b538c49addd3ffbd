//! Secrets: made at the first start, never changed by a later one.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use rand::RngExt as _;
use topology::Spec;

use crate::run_dir::RunDir;

/// The database roles of each cell.
const ROLES: [&str; 3] = ["postgres", "replicator", "service"];
/// Read and written by their owner only.
const MODE: u32 = 0o600;

/// Makes every secret that is missing.
pub(crate) fn create(run_dir: &RunDir, spec: &Spec) -> anyhow::Result<()> {
    keep_or_make(&run_dir.control_plane_token())?;
    keep_or_make(&run_dir.identity_key())?;
    keep_or_make(&run_dir.visitor_keys())?;
    for cell in &spec.cells {
        for role in ROLES {
            keep_or_make(&run_dir.password(&cell.id, role))?;
        }
    }
    Ok(())
}

fn keep_or_make(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let secret: [u8; 32] = rand::rng().random();
    runtime::file::replace(path, format!("{}\n", hex(&secret)).as_bytes(), MODE)
        .with_context(|| format!("write {}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}
