//! What is asked for, checked as far as possible before anything is done, all mistakes at once.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runtime::clock;
use topology::{CellId, Spec};

use super::tools::Tools;
use crate::cli::RestoreArgs;
use crate::disk::{self, SpecFile, World};
use crate::run_dir::RunDir;
use runtime::moment::Moment;

/// The kernel's bound for the path of a socket, less the name PostgreSQL gives it.
const PATH_MAX: usize = 107 - "/.s.PGSQL.65535".len();

pub(super) struct Request {
    pub(super) spec: Spec,
    pub(super) cell: CellId,
    pub(super) to: To,
    pub(super) into: Into,
    pub(super) tools: Tools,
}

pub(super) enum To {
    Latest,
    Time(Moment),
}

/// Where the database goes.
pub(super) enum Into {
    /// A folder a person named: it stays.
    Named(PathBuf),
    /// One in the run directory, removed afterwards.
    Own(PathBuf),
}

impl Into {
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Named(folder) | Self::Own(folder) => folder,
        }
    }
}

impl Request {
    /// Gives a file or folder to the user PostgreSQL runs as.
    pub(super) fn own(&self, path: &Path) -> anyhow::Result<()> {
        let Some((user, group)) = self.tools.owner else { return Ok(()) };
        chown(path, Some(user), Some(group))
            .with_context(|| format!("give {} to PostgreSQL's user", path.display()))
    }
}

/// Returns the request, or a line for each mistake in it.
pub(super) fn check(
    args: &RestoreArgs,
    run_dir: &RunDir,
) -> anyhow::Result<Result<Request, Vec<String>>> {
    let mut findings = Vec::new();
    let spec = match &args.spec {
        Some(file) => match disk::read_spec(file, World::AsWritten)? {
            SpecFile::Good { spec, .. } => Some(*spec),
            SpecFile::Bad(lines) => {
                findings.extend(lines);
                None
            }
        },
        None => disk::applied_spec(run_dir)?,
    };
    if spec.is_none() && findings.is_empty() {
        let folder = run_dir.path().display();
        findings.push(format!(
            "{folder}: no platform was ever started there; name another --run-dir, or the world \
             with --spec"
        ));
    }
    let cell = args.cell.parse::<CellId>();
    let known = |cell: &CellId| spec.as_ref().is_none_or(|spec| spec.cell(cell).is_some());
    match &cell {
        Err(err) => findings.push(format!("CELL: {err}")),
        Ok(cell) if !known(cell) => {
            let ids = spec.iter().flat_map(|spec| &spec.cells).map(|cell| cell.id.as_str());
            let ids = ids.collect::<Vec<_>>().join(", ");
            findings.push(format!("CELL: no cell {cell}; there are {ids}"));
        }
        Ok(_) => {}
    }
    let to = match to(&args.to, clock::unix_millis()) {
        Ok(to) => Some(to),
        Err(finding) => {
            findings.push(format!("--to: {finding}"));
            None
        }
    };
    let into = if let Some(folder) = &args.into {
        Into::Named(std::path::absolute(folder).context("find --into")?)
    } else {
        let name = format!("{}-{}", args.cell, std::process::id());
        Into::Own(run_dir.path().join("restores").join(name))
    };
    findings.extend(folder_finding(into.folder()).map(|finding| format!("--into: {finding}")));
    let tools = Tools::find(into.folder().join("passfile"));
    let (tools, missing) = match tools {
        Ok(tools) => (Some(tools), Vec::new()),
        Err(missing) => (None, missing),
    };
    findings.extend(missing);
    let (Some(spec), Ok(cell), Some(to), Some(tools), true) =
        (spec, cell, to, tools, findings.is_empty())
    else {
        return Ok(Err(findings));
    };
    Ok(Ok(Request { spec, cell, to, into, tools }))
}

fn to(text: &str, now_millis: u64) -> Result<To, String> {
    if text == "latest" {
        return Ok(To::Latest);
    }
    let explain = || {
        format!(
            "{text:?} is neither latest nor a time with its zone, such as 2026-11-22T14:05:07Z or \
             \"2026-11-22 22:05:07.25+08:00\""
        )
    };
    let moment = Moment::parse(text).ok_or_else(explain)?;
    let now = i64::try_from(now_millis).unwrap_or(i64::MAX).saturating_mul(1000);
    if moment.0 > now { Err(format!("{moment} is yet to come")) } else { Ok(To::Time(moment)) }
}

fn folder_finding(folder: &Path) -> Option<String> {
    let shown = folder.display();
    if folder.as_os_str().len() > PATH_MAX {
        return Some(format!("{shown}: longer than {PATH_MAX} bytes; choose a shorter path"));
    }
    let empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(err) => err.kind() == std::io::ErrorKind::NotFound,
    };
    (!empty).then(|| format!("{shown}: not an empty folder; nothing is ever written over"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_and_the_past_can_be_restored_and_nothing_else() {
        let now = 1_795_386_085_000;
        assert!(matches!(to("latest", now), Ok(To::Latest)));
        assert!(matches!(to("2026-11-22 22:21:25Z", now), Ok(To::Time(_))));
        let later = to("2026-11-22 22:21:26Z", now).err();
        assert_eq!(later.as_deref(), Some("2026-11-22 22:21:26.000000+00 is yet to come"));
        assert!(to("2026-11-22 22:21:25", now).is_err_and(|finding| finding.contains("zone")));
    }

    #[test]
    fn nothing_is_written_over() {
        assert_eq!(folder_finding(Path::new("/nowhere/at/all")), None);
        let finding = folder_finding(Path::new("/proc")).unwrap();
        assert_eq!(finding, "/proc: not an empty folder; nothing is ever written over");
        assert!(folder_finding(Path::new(&"/x".repeat(60))).is_some());
    }
}
