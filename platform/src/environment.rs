//! The environment's id. Drills break only a platform that says, with its id, that they may.

use anyhow::Context as _;
use rand::RngExt as _;

use crate::disk;
use crate::run_dir::RunDir;

const MODE: u32 = 0o644;

/// Names the environment at its first start. What is started on one machine is there to be broken,
/// so drills are allowed then; whoever takes that back later is not overruled.
pub(crate) fn create(run_dir: &RunDir) -> anyhow::Result<()> {
    let own = run_dir.environment();
    if disk::is_there(&own)? {
        return Ok(());
    }
    let id = format!("local-{:08x}\n", rand::rng().random::<u32>());
    // Allowed first: without an id nothing is.
    for path in [run_dir.drills_allowed(), own] {
        runtime::file::replace(&path, id.as_bytes(), MODE)
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
