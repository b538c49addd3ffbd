//! Where a cell's backups go, how many are kept and how often they are made; and the same in
//! pgBackRest's words, which the agent that writes them and whoever restores them must share.

use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    pub repository: Repository,
    /// How many base backups are kept, each with the WAL that leads on from it.
    pub keep_full: u32,
    /// How often a base backup is made: what a restore begins with.
    pub base_every: Duration,
    /// How old a write is at most before it is sent to the archive: what the loss of all sites at
    /// once may cost.
    pub archive_every: Duration,
    /// How long a site must have served before it makes a base backup: not while a cell moves.
    pub steady: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repository {
    /// A folder; a relative one is in the run directory. A disk of the site's own machine is lost
    /// with it: in production this is a mount of something else.
    Folder(PathBuf),
    S3(S3),
}

/// A bucket of anything that speaks S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// A host, without `https://`; pgBackRest speaks nothing but TLS.
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    /// A file of two lines: the access key and the secret key. A relative one is in the run
    /// directory.
    pub key_file: PathBuf,
}

impl Default for Backup {
    /// What a `regions.yaml` without this section means.
    fn default() -> Self {
        Self {
            repository: Repository::Folder(PathBuf::from("backups")),
            keep_full: 2,
            base_every: Duration::from_hours(24),
            archive_every: Duration::from_mins(1),
            steady: Duration::from_mins(1),
        }
    }
}

impl Repository {
    /// Returns the folder that backups go to, if they go to one.
    #[must_use]
    pub fn folder(&self, run_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(run_dir.join(folder)),
            Self::S3(_) => None,
        }
    }

    /// Returns the file with the keys, if there are any.
    #[must_use]
    pub fn key_file(&self, run_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder(_) => None,
            Self::S3(s3) => Some(run_dir.join(&s3.key_file)),
        }
    }

    /// Returns the lines of pgBackRest's `[global]` section that say where the repository is. `keys`
    /// is what the file with the keys says.
    #[must_use]
    pub fn options(&self, run_dir: &Path, keys: &str) -> String {
        match self {
            Self::Folder(folder) => {
                format!("repo1-type=posix\nrepo1-path={}\n", run_dir.join(folder).display())
            }
            Self::S3(s3) => {
                let mut keys = keys.lines().map(str::trim);
                let (access, secret) =
                    (keys.next().unwrap_or_default(), keys.next().unwrap_or_default());
                format!(
                    "repo1-type=s3\nrepo1-path=/bulkhead\nrepo1-s3-endpoint={}\n\
                     repo1-s3-bucket={}\nrepo1-s3-region={}\nrepo1-s3-uri-style=path\n\
                     repo1-s3-key={access}\nrepo1-s3-key-secret={secret}\n",
                    s3.endpoint, s3.bucket, s3.region
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_folder_is_in_the_run_directory_and_an_absolute_one_is_where_it_says() {
        let run_dir = Path::new("/run/bulkhead");
        let folder = |path: &str| Repository::Folder(PathBuf::from(path)).folder(run_dir);
        assert_eq!(folder("backups"), Some(PathBuf::from("/run/bulkhead/backups")));
        assert_eq!(folder("/mnt/elsewhere"), Some(PathBuf::from("/mnt/elsewhere")));
    }

    #[test]
    fn a_bucket_and_its_keys_are_said_in_pgbackrests_words() {
        let s3 = Repository::S3(S3 {
            endpoint: "s3.example".to_owned(),
            bucket: "cells".to_owned(),
            region: "east".to_owned(),
            key_file: PathBuf::from("secrets/s3"),
        });
        assert_eq!(
            s3.options(Path::new("/run"), "ACCESS\nSECRET\n"),
            "repo1-type=s3\nrepo1-path=/bulkhead\nrepo1-s3-endpoint=s3.example\n\
             repo1-s3-bucket=cells\nrepo1-s3-region=east\nrepo1-s3-uri-style=path\n\
             repo1-s3-key=ACCESS\nrepo1-s3-key-secret=SECRET\n"
        );
        assert_eq!(s3.key_file(Path::new("/run")), Some(PathBuf::from("/run/secrets/s3")));
    }
}
