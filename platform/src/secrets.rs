//! Secrets: made at the first start, never changed by a later one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use topology::Spec;

use crate::disk::is_there;
use crate::run_dir::RunDir;

/// The database roles of each cell.
const ROLES: [&str; 3] = ["postgres", "replicator", "service"];
/// What the file of callers begins with.
const CALLERS: &str = "\
# Who may call the control plane: name, role, and the token's hash as of `printf %s TOKEN | sha256sum`.
# Roles: viewer reads, operator moves cells, admin freezes and gives up data.
# Read again within seconds. To rotate a token, add a line of the same name, and take the old one out
# when nobody uses it any more.
";
/// Read and written by their owner only.
const MODE: u32 = 0o600;

/// Makes every secret that is missing.
pub(crate) fn create(run_dir: &RunDir, spec: &Spec) -> anyhow::Result<()> {
    callers(run_dir)?;
    keep_or_make(&run_dir.console_key())?;
    keep_or_make(&run_dir.identity_key())?;
    keep_or_make(&run_dir.visitor_keys())?;
    for cell in &spec.cells {
        for role in ROLES {
            keep_or_make(&run_dir.password(&cell.id, role))?;
        }
    }
    Ok(())
}

/// Makes a token for each role of the control plane, and the file that knows their hashes. A file
/// that is there is somebody's work, and stays as it is.
fn callers(run_dir: &RunDir) -> anyhow::Result<()> {
    let tokens = [
        ("viewer", run_dir.token_of("viewer")),
        ("operator", run_dir.token_of("operator")),
        ("admin", run_dir.control_plane_token()),
    ];
    let mut text = CALLERS.to_owned();
    for (role, path) in tokens {
        keep_or_make(&path)?;
        let token =
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let hash = hex(&Sha256::digest(token.trim().as_bytes()));
        writeln!(text, "local-{role:<10} {role:<8} {hash}").context("list the callers")?;
    }
    let path = run_dir.callers();
    if is_there(&path)? {
        return Ok(());
    }
    runtime::file::replace(&path, text.as_bytes(), MODE)
        .with_context(|| format!("write {}", path.display()))
}

fn keep_or_make(path: &Path) -> anyhow::Result<()> {
    if is_there(path)? {
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
