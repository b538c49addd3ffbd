//! What the platform's processes have logged during a run and never should: panics, failed assertions, data that is
//! not whole.
//!
//! Only what was written since the run began is looked at, also where a log was put aside meanwhile; a log says
//! nothing of what its process did not notice.

mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use self::pattern::{is_cut, is_grave};

/// Read of one log: some hundred times what the busiest one has of a long drill.
const LOG_MAX: u64 = 256 * 1024 * 1024;
/// Looked at at once; a longer line is several.
const LINE_MAX: u64 = 64 * 1024;
/// Told of one line: where it says what has happened.
const TOLD_MAX: usize = 240;
/// Kept of one log: more than a report tells.
const KEPT_MAX: usize = 100;

/// How long each log was, and which file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Begun(BTreeMap<String, Mark>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    file: u64,
    length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogsRead {
    Read {
        /// Each with the name of its log.
        grave: Vec<String>,
        /// What was written and could not be read.
        gaps: Vec<String>,
    },
    Unread(String),
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    path: PathBuf,
    from: u64,
}

/// Notes where the logs of a folder end.
pub(crate) fn begin(folder: &Path) -> anyhow::Result<Begun> {
    Ok(Begun(list(folder)?))
}

/// Looks through what was written since, but for lines in which one of `allowed` is.
pub(crate) async fn read(folder: PathBuf, begun: Begun, allowed: Vec<String>) -> LogsRead {
    // Long logs take seconds, and whoever is silent for that long is ended by its guard.
    let looked = spawn_blocking(move || look(&folder, &begun, &allowed)).await;
    looked.unwrap_or_else(|err| LogsRead::Unread(format!("look through the logs: {err}")))
}

fn look(folder: &Path, begun: &Begun, allowed: &[String]) -> LogsRead {
    let now = match list(folder) {
        Ok(now) => now,
        Err(err) => return LogsRead::Unread(format!("{err:#}")),
    };
    let (mut grave, mut gaps) = (Vec::new(), Vec::new());
    let names: BTreeSet<&String> = begun.0.keys().chain(now.keys()).collect();
    for name in names {
        let aside = mark(&folder.join(format!("{name}.1")));
        let (pieces, is_whole) = pieces(folder, name, begun.0.get(name), now.get(name), aside);
        if !is_whole {
            gaps.push(format!("{name} was put aside more than once, or is gone"));
        }
        let mut found = Vec::new();
        for piece in pieces {
            match look_through(&piece, allowed, &mut found) {
                Ok(None) => {}
                Ok(Some(gap)) => gaps.push(format!("{name}: {gap}")),
                Err(err) => gaps.push(format!("{err:#}")),
            }
        }
        grave.extend(found.into_iter().map(|line| format!("{name}: {line}")));
    }
    LogsRead::Read { grave, gaps }
}

fn list(folder: &Path) -> anyhow::Result<BTreeMap<String, Mark>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            found.extend(mark(&entry.path()).map(|mark| (name, mark)));
        }
    }
    Ok(found)
}

/// `None` where there is no such file.
fn mark(path: &Path) -> Option<Mark> {
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Mark { file: about.ino(), length: about.len() })
}

/// Returns what was written to a log since it was marked, in order, and whether that is all.
fn pieces(
    folder: &Path,
    name: &str,
    before: Option<&Mark>,
    now: Option<&Mark>,
    aside: Option<Mark>,
) -> (Vec<Piece>, bool) {
    let own = |from| Piece { path: folder.join(name), from };
    match (before, now) {
        (None, None) => (Vec::new(), true),
        (None, Some(_)) => (vec![own(0)], true),
        (Some(before), Some(now)) if before.file == now.file => {
            // One that has become shorter was begun again.
            let from = if now.length < before.length { 0 } else { before.length };
            (vec![own(from)], true)
        }
        (Some(before), now) => {
            let is_aside = aside.is_some_and(|aside| aside.file == before.file);
            let path = folder.join(format!("{name}.1"));
            let rest = is_aside.then_some(Piece { path, from: before.length });
            (rest.into_iter().chain(now.map(|_| own(0))).collect(), is_aside)
        }
    }
}

/// Adds what is found; returns what was left out.
fn look_through(
    piece: &Piece,
    allowed: &[String],
    found: &mut Vec<String>,
) -> anyhow::Result<Option<String>> {
    let path = &piece.path;
    let read = || format!("read {}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Some("it is gone".to_owned())),
        Err(err) => return Err(err).with_context(read),
    };
    let length = file.metadata().with_context(read)?.len().saturating_sub(piece.from);
    file.seek(SeekFrom::Start(piece.from)).with_context(read)?;
    scan(&mut BufReader::new(file.take(LOG_MAX)), allowed, found).with_context(read)?;
    let left = length.saturating_sub(LOG_MAX);
    Ok((left > 0).then(|| format!("{left} bytes were not looked at: it is too long")))
}

fn scan(
    log: &mut impl BufRead,
    allowed: &[String],
    found: &mut Vec<String>,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    // What the line before has begun to say.
    let mut begun: Option<String> = None;
    while found.len() < KEPT_MAX {
        line.clear();
        if log.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if let Some(begun) = begun.take() {
            found.push(shortened(&format!("{begun} {text}")));
        }
        if is_grave(text) && !allowed.iter().any(|part| text.contains(part.as_str())) {
            if is_cut(text) {
                begun = Some(text.to_owned());
            } else {
                found.push(shortened(text));
            }
        }
    }
    found.extend(begun.map(|begun| shortened(&begun)));
    Ok(())
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= TOLD_MAX {
        return line.to_owned();
    }
    let told: String = line.chars().take(TOLD_MAX).collect();
    format!("{told}…")
}

#[cfg(test)]
mod tests;
