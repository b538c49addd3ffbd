//! `platform logs`: what the processes wrote, the last of it or as it comes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::app::Outcome;
use crate::readiness::tail;
use crate::run_dir::RunDir;
use crate::terminal;

/// Lines of each process when none is named.
const LINES: usize = 10;
const POLL: Duration = Duration::from_millis(200);
/// Read of one log at a time, so that a busy one cannot fill the memory.
const CHUNK: u64 = 1024 * 1024;

pub(crate) async fn logs(
    run_dir: &RunDir,
    process: Option<&str>,
    follow: bool,
) -> anyhow::Result<Outcome> {
    let listed = list(&run_dir.logs())?;
    let chosen = choose(&listed, process)?;
    let mut positions = BTreeMap::new();
    for (name, path) in &chosen {
        let length = fs::metadata(path).map_or(0, |meta| meta.len());
        positions.insert(name.clone(), length);
        let lines = tail(path, if process.is_some() { usize::MAX } else { LINES });
        show(name, &lines.join("\n"), process.is_none())?;
    }
    if !follow {
        return Ok(Outcome::Done);
    }
    loop {
        tokio::time::sleep(POLL).await;
        for (name, path) in &chosen {
            let position = positions.entry(name.clone()).or_default();
            show(name, &news(path, position)?, process.is_none())?;
        }
    }
}

fn list(folder: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("list {}; has a platform run there", folder.display()))?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(process) = name.strip_suffix(".log") {
            found.insert(process.to_owned(), path.clone());
        }
    }
    Ok(found)
}

fn choose(
    listed: &BTreeMap<String, PathBuf>,
    process: Option<&str>,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let Some(process) = process else { return Ok(listed.clone()) };
    let Some(path) = listed.get(process) else {
        let names: Vec<&str> = listed.keys().map(String::as_str).collect();
        bail!("find process {process}; there are {}", names.join(", "));
    };
    Ok(BTreeMap::from([(process.to_owned(), path.clone())]))
}

/// Returns the whole lines written since `position`. A log that became shorter is a new one.
fn news(path: &Path, position: &mut u64) -> anyhow::Result<String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // Put aside; the next run makes it again.
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(err) => return Err(err).with_context(|| format!("open {}", path.display())),
    };
    let length = file.metadata().with_context(|| format!("look at {}", path.display()))?.len();
    if length < *position {
        *position = 0;
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(*position))
        .and_then(|_| file.take(CHUNK).read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => last + 1,
        None => return Ok(String::new()),
    };
    *position += whole as u64;
    Ok(String::from_utf8_lossy(&bytes[..whole]).trim_end().to_owned())
}

fn show(name: &str, text: &str, named: bool) -> anyhow::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    if named {
        let lines: Vec<String> = text.lines().map(|line| format!("{name} | {line}")).collect();
        return terminal::print(&lines.join("\n"));
    }
    terminal::print(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_new_lines_are_news() {
        let path = std::env::temp_dir().join(format!("bulkhead-logs-{}.log", std::process::id()));
        let mut position = 0;
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(news(&path, &mut position).unwrap(), "one\ntwo");
        assert_eq!(news(&path, &mut position).unwrap(), "");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(news(&path, &mut position).unwrap(), "three");
        fs::write(&path, "new\n").unwrap();
        assert_eq!(news(&path, &mut position).unwrap(), "new");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_unknown_process_is_answered_with_the_known_ones() {
        let listed = BTreeMap::from([("router-1".to_owned(), PathBuf::from("router-1.log"))]);
        let refusal = choose(&listed, Some("router-9")).unwrap_err().to_string();
        assert_eq!(refusal, "find process router-9; there are router-1");
    }
}
