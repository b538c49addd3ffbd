//! pgBackRest, as this site runs it: its configuration, its commands, its answers.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::agent::postgres::{Postgres, Segment, SegmentSize, Sending};
use crate::config::Site;

/// WAL kept for an archive that does not take it; beyond it the oldest is given up, because a full
/// disk would stop the cell. As much as a standby that is away may hold back.
const QUEUE_MAX: &str = "256MB";
/// Without an answer for so long a command fails.
const IO_SECONDS: u32 = 20;
/// Reading a catalogue, or a folder of the archive, takes 15 ms from a disk.
const ASK_TIME: Duration = Duration::from_secs(30);
/// Making the catalogue of a cell: under a second from a disk.
const CREATE_TIME: Duration = Duration::from_mins(1);
/// A base backup of a very large cell; a longer one is given up and begun again.
const BACKUP_TIME: Duration = Duration::from_hours(12);
/// pgBackRest's number for a catalogue that belongs to another database.
const OTHER_DATABASE: &str = "[028]";

pub(super) struct PgBackRest {
    program: PathBuf,
    configuration: PathBuf,
    /// Exists once this site has seen the cell's catalogue.
    seen: PathBuf,
    stanza: String,
    postgres: Arc<Postgres>,
}

/// What the repository says it has of this cell's present database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Catalogue {
    /// The archive's folder; `None` before anything was archived.
    pub(super) archive: Option<String>,
    pub(super) newest: Option<BaseBackup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseBackup {
    pub(super) label: String,
    /// The first WAL file it needs.
    pub(super) first: String,
    /// When it was complete, in seconds since 1970.
    pub(super) complete: u64,
}

impl BaseBackup {
    pub(super) fn age(&self) -> Duration {
        let now = runtime::clock::unix_millis();
        Duration::from_millis(now.saturating_sub(self.complete.saturating_mul(1000)))
    }
}

/// Returns where pgBackRest is installed, if it is.
#[must_use]
pub(super) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("pgbackrest")).find(|file| {
        std::fs::metadata(file)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

impl PgBackRest {
    /// Writes the configuration.
    pub(super) fn configure(
        program: PathBuf,
        site: &Site,
        postgres: &Arc<Postgres>,
    ) -> anyhow::Result<Self> {
        let repository = &site.spec.backup.repository;
        let keys = match repository.key_file(&site.run_dir) {
            Some(file) => std::fs::read_to_string(&file)
                .with_context(|| format!("read {}", file.display()))?,
            None => String::new(),
        };
        if let Some(folder) = repository.folder(&site.run_dir) {
            postgres.make_folder(&folder)?;
        }
        let own = site.folder().join("postgres/pgbackrest");
        postgres.make_folder(&own)?;
        let stanza = site.id.cell.to_string();
        let text = configuration(
            &repository.options(&site.run_dir, &keys),
            site.spec.backup.keep_full,
            &own,
            &stanza,
            postgres.place(),
        );
        let configuration = postgres.write_beside("pgbackrest.conf", &text)?;
        let seen = own.join("catalogue.seen");
        Ok(Self { program, configuration, seen, stanza, postgres: Arc::clone(postgres) })
    }

    /// Returns how PostgreSQL sends finished WAL.
    #[must_use]
    pub(super) fn sending(&self, every: Duration) -> Sending {
        let (program, configuration) = (self.program.display(), self.configuration.display());
        let command = format!(
            "\"{program}\" --config=\"{configuration}\" --stanza={} archive-push \"%p\"",
            self.stanza
        );
        Sending { command, every }
    }

    /// Makes the cell's catalogue in the repository; one that is there is checked. A catalogue of an
    /// earlier database of the cell is continued: what it has stays until it is too old.
    pub(super) async fn create_catalogue(&self) -> anyhow::Result<()> {
        let created = self.run("stanza-create", &[], CREATE_TIME).await;
        match created {
            Err(err) if format!("{err:#}").contains(OTHER_DATABASE) => {
                self.run("stanza-upgrade", &[], CREATE_TIME).await.map(drop)
            }
            created => created.map(drop),
        }
    }

    /// Returns whether there was a catalogue when this site last looked.
    #[must_use]
    pub(super) fn has_catalogue(&self) -> bool {
        self.seen.exists()
    }

    pub(super) fn note_catalogue(&self) -> anyhow::Result<()> {
        std::fs::write(&self.seen, "").context("note that there is a catalogue")
    }

    pub(super) async fn catalogue(&self, system: u64) -> anyhow::Result<Catalogue> {
        let told = self.run("info", &["--output=json"], ASK_TIME).await?;
        catalogue(&told, system)
    }

    /// Returns which of these segments the archive has.
    pub(super) async fn present(
        &self,
        archive: &str,
        segments: &[Segment],
        size: SegmentSize,
    ) -> anyhow::Result<BTreeSet<Segment>> {
        let folders: BTreeSet<String> =
            segments.iter().map(|segment| size.folder(*segment)).collect();
        let mut found = BTreeSet::new();
        for folder in folders {
            let path = format!("archive/{}/{archive}/{folder}", self.stanza);
            let told = self.run("repo-ls", &["--output=json", &path], ASK_TIME).await?;
            let files: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&told).context("understand the archive's list")?;
            // NAME-CHECKSUM.lz4
            let names = files.keys().filter_map(|file| file.split_once('-'));
            found.extend(names.filter_map(|(name, _)| size.segment(name)));
        }
        Ok(found)
    }

    /// Returns the names of the timelines' histories that the archive has.
    pub(super) async fn histories(&self, archive: &str) -> anyhow::Result<BTreeSet<String>> {
        let path = format!("archive/{}/{archive}", self.stanza);
        let told = self.run("repo-ls", &["--filter=[.]history$", &path], ASK_TIME).await?;
        Ok(told.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// Makes a base backup, and forgets what is too old.
    pub(super) async fn back_up(&self) -> anyhow::Result<()> {
        self.run("backup", &["--type=full"], BACKUP_TIME).await.map(drop)
    }

    async fn run(
        &self,
        command: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> anyhow::Result<String> {
        let configure = |line: &mut Command| {
            // Serving comes first: the machine's cores are given to what remains of them.
            line.args(["-n", "15"]).arg(&self.program);
            line.arg(format!("--config={}", self.configuration.display()));
            line.arg(format!("--stanza={}", self.stanza)).arg(command).args(arguments);
            self.postgres.connect_tool(line);
        };
        let run = self.postgres.binaries.run("/usr/bin/nice", configure);
        match tokio::time::timeout(limit, run).await {
            Ok(done) => done.with_context(|| format!("run pgbackrest {command}")),
            Err(_elapsed) => bail!("run pgbackrest {command} within {limit:?}"),
        }
    }
}

fn configuration(
    repository: &str,
    keep: u32,
    own: &Path,
    stanza: &str,
    (data, port): (&Path, u16),
) -> String {
    let (own, data) = (own.display(), data.display());
    format!(
        "# Written by the agent at each start.
[global]
{repository}repo1-retention-full={keep}
# Little of the processor rather than little of the disk.
compress-type=lz4
process-max=1
start-fast=y
archive-push-queue-max={QUEUE_MAX}
io-timeout={IO_SECONDS}
log-level-console=off
log-level-stderr=warn
log-level-file=off
log-timestamp=n
log-path={own}
lock-path={own}
spool-path={own}

[{stanza}]
pg1-path={data}
pg1-port={port}
pg1-user=postgres
"
    )
}

#[derive(Deserialize)]
struct StanzaTold {
    #[serde(default)]
    archive: Vec<ArchiveTold>,
    #[serde(default)]
    backup: Vec<BackupTold>,
    #[serde(default)]
    db: Vec<DatabaseTold>,
    #[serde(default)]
    repo: Vec<RepositoryTold>,
}

#[derive(Deserialize)]
struct RepositoryTold {
    status: StatusTold,
}

#[derive(Deserialize)]
struct StatusTold {
    code: u32,
    message: String,
}

#[derive(Deserialize)]
struct ArchiveTold {
    database: DatabaseIdTold,
    id: String,
}

#[derive(Deserialize)]
struct DatabaseIdTold {
    id: u32,
}

#[derive(Deserialize)]
struct DatabaseTold {
    id: u32,
    #[serde(rename = "system-id")]
    system: u64,
}

#[derive(Deserialize)]
struct BackupTold {
    label: String,
    error: Option<bool>,
    database: DatabaseIdTold,
    archive: BackupArchiveTold,
    timestamp: BackupTimesTold,
}

#[derive(Deserialize)]
struct BackupArchiveTold {
    /// Absent in a backup that was copied without archiving.
    start: Option<String>,
}

#[derive(Deserialize)]
struct BackupTimesTold {
    stop: u64,
}

/// pgBackRest's number for a repository that cannot be read.
const UNREADABLE: u32 = 99;

fn catalogue(told: &str, system: u64) -> anyhow::Result<Catalogue> {
    let stanzas: Vec<StanzaTold> =
        serde_json::from_str(told).context("understand pgbackrest's catalogue")?;
    let Some(stanza) = stanzas.into_iter().next() else {
        return Ok(Catalogue { archive: None, newest: None });
    };
    if let Some(repository) = stanza.repo.iter().find(|repo| repo.status.code == UNREADABLE) {
        bail!("read the repository: {}", first_line(&repository.status.message));
    }
    let database = stanza.db.iter().rev().find(|database| database.system == system);
    let id = database.map(|database| database.id);
    let archive = stanza.archive.into_iter().find(|archive| Some(archive.database.id) == id);
    let newest = stanza
        .backup
        .into_iter()
        .filter(|backup| Some(backup.database.id) == id && backup.error != Some(true))
        .filter_map(|backup| {
            let first = backup.archive.start?;
            Some(BaseBackup { label: backup.label, first, complete: backup.timestamp.stop })
        })
        .max_by_key(|backup| backup.complete);
    Ok(Catalogue { archive: archive.map(|archive| archive.id), newest })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 2.45 writes it, shortened: two databases, of which the second is the present one.
    const TOLD: &str = r#"[{"archive":[
        {"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000009","min":"000000010000000000000002"},
        {"database":{"id":2,"repo-key":1},"id":"15-2","max":"000000010000000000000003","min":"000000010000000000000002"}],
      "backup":[
        {"archive":{"start":"000000010000000000000009","stop":"000000010000000000000009"},"database":{"id":1,"repo-key":1},"error":false,"label":"20261122-222125F","timestamp":{"start":1795386085,"stop":1795386087},"type":"full"},
        {"archive":{"start":"000000010000000000000002","stop":"000000010000000000000002"},"database":{"id":2,"repo-key":1},"error":false,"label":"20261123-222125F","timestamp":{"start":1795472485,"stop":1795472487},"type":"full"},
        {"archive":{"start":"000000010000000000000003","stop":"000000010000000000000003"},"database":{"id":2,"repo-key":1},"error":true,"label":"20261124-222125F","timestamp":{"start":1795558885,"stop":1795558887},"type":"full"}],
      "cipher":"none",
      "db":[{"id":1,"repo-key":1,"system-id":7711,"version":"15"},{"id":2,"repo-key":1,"system-id":7722,"version":"15"}],
      "name":"c1","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],
      "status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]"#;

    #[test]
    fn only_what_is_whole_and_of_the_present_database_counts() {
        let newest = BaseBackup {
            label: "20261123-222125F".to_owned(),
            first: "000000010000000000000002".to_owned(),
            complete: 1_795_472_487,
        };
        let expected = Catalogue { archive: Some("15-2".to_owned()), newest: Some(newest) };
        assert_eq!(catalogue(TOLD, 7722).unwrap(), expected);
        assert_eq!(catalogue(TOLD, 1).unwrap(), Catalogue { archive: None, newest: None });
    }

    #[test]
    fn an_unreadable_repository_is_an_error_with_its_reason() {
        let told = r#"[{"archive":[],"backup":[],"db":[],"name":"c1","repo":[{"key":1,"status":
            {"code":99,"message":"[FileOpenError] unable to load info file\nHINT: is …"}}]}]"#;
        assert_eq!(
            catalogue(told, 1).unwrap_err().to_string(),
            "read the repository: [FileOpenError] unable to load info file"
        );
    }

    #[test]
    fn a_repository_without_the_cell_is_empty() {
        assert_eq!(catalogue("[]", 1).unwrap(), Catalogue { archive: None, newest: None });
    }
}
