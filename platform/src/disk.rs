//! Reads what people and earlier runs wrote: `regions.yaml` and `fleet.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use topology::Spec;
use topology::spec::EMULATED;
use topology::wire::fleet::Fleet;

use crate::run_dir::RunDir;

/// A `regions.yaml`, read.
pub(crate) enum SpecFile {
    Good {
        spec: Box<Spec>,
        text: String,
    },
    /// Each finding as `FILE:LINE: place: problem`.
    Bad(Vec<String>),
}

/// Which world is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    AsWritten,
    /// The regions are as far apart as it says.
    Emulated,
}

/// What only cannot be looked at is not taken for missing.
pub(crate) fn is_there(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| format!("look for {}", path.display()))
}

pub(crate) fn read_spec(path: &Path, world: World) -> anyhow::Result<SpecFile> {
    let mut text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    if world == World::Emulated && !text.lines().any(|line| line == EMULATED.trim_end()) {
        text.push('\n');
        text.push_str(EMULATED);
    }
    Ok(match Spec::parse(&text) {
        Ok(spec) => SpecFile::Good { spec: Box::new(spec), text },
        Err(findings) => SpecFile::Bad(
            findings
                .iter()
                .map(|finding| {
                    let (line, place) = (finding.line, &finding.place);
                    format!("{}:{line}: {place}: {}", path.display(), finding.problem)
                })
                .collect(),
        ),
    })
}

/// Returns the spec the run directory's data belongs to; `None` before the first start.
pub(crate) fn applied_spec(run_dir: &RunDir) -> anyhow::Result<Option<Spec>> {
    let path = run_dir.spec();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err).with_context(|| format!("read {}", path.display())),
    };
    let spec = Spec::parse(&text).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("accept {}: {}", path.display(), lines.join("; "))
    })?;
    Ok(Some(spec))
}

/// Returns what the last supervisor wrote; `None` before the first start.
pub(crate) fn fleet(run_dir: &RunDir) -> anyhow::Result<Option<Fleet>> {
    let path = run_dir.fleet();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err).with_context(|| format!("read {}", path.display())),
    };
    let fleet =
        serde_json::from_slice(&text).with_context(|| format!("understand {}", path.display()))?;
    Ok(Some(fleet))
}
