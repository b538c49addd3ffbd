//! Where an issuer's keys come from, and one look at it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use topology::spec::edge::identity::{Algorithm, KeyUrl, Keys};

use super::fetch;
use super::key_set::{KeySet, SET_MAX};
use crate::decide::refresh::Place;

pub(crate) enum Source {
    Secret(PathBuf),
    Pem(Vec<PathBuf>),
    Jwks(PathBuf),
    Url {
        url: KeyUrl,
        /// What was fetched last, for a start while the issuer is out of reach.
        kept: PathBuf,
    },
}

impl Source {
    /// Takes what `regions.yaml` says; `number` tells the issuers of a router apart.
    pub(crate) fn of(keys: &Keys, run_dir: &Path, kept: &Path, number: usize) -> Self {
        match keys {
            Keys::Secret(file) => Self::Secret(run_dir.join(file)),
            Keys::Pem(files) => Self::Pem(files.iter().map(|file| run_dir.join(file)).collect()),
            Keys::Jwks(file) => Self::Jwks(run_dir.join(file)),
            Keys::Url(url) => {
                Self::Url { url: url.clone(), kept: kept.join(format!("{number}.json")) }
            }
        }
    }

    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Secret(_) | Self::Pem(_) | Self::Jwks(_) => Place::File,
            Self::Url { .. } => Place::Url,
        }
    }

    /// Reads what is on this machine: the keys, or those fetched last, if there are any.
    pub(crate) fn read_here(&self, algorithms: &[Algorithm]) -> anyhow::Result<Option<KeySet>> {
        match self {
            Self::Secret(file) => {
                let text = String::from_utf8(file_text(file)?).context("read secrets")?;
                KeySet::secrets(&text).with_context(|| format!("trust {}", file.display()))
            }
            Self::Pem(files) => {
                let texts: Vec<Vec<u8>> =
                    files.iter().map(|file| file_text(file)).collect::<Result<_, _>>()?;
                KeySet::pems(&texts, algorithms).with_context(|| format!("trust {files:?}"))
            }
            Self::Jwks(file) => KeySet::jwks(&file_text(file)?, algorithms)
                .with_context(|| format!("trust {}", file.display())),
            Self::Url { kept, .. } if !kept.exists() => return Ok(None),
            Self::Url { url, kept } => {
                // Kept by the address, too: another issuer's keys are not this one's.
                let text = file_text(kept)?;
                let Some(set) = text.strip_prefix(format!("{url}\n").as_bytes()) else {
                    return Ok(None);
                };
                KeySet::jwks(set, algorithms).with_context(|| format!("trust {}", kept.display()))
            }
        }
        .map(Some)
    }

    /// Reads the keys from where they are published, or from their files again.
    pub(crate) async fn read(&self, algorithms: &[Algorithm]) -> anyhow::Result<Option<KeySet>> {
        let Self::Url { url, kept } = self else { return self.read_here(algorithms) };
        let text = fetch::get(url, SET_MAX).await.with_context(|| format!("fetch {url}"))?;
        let set = KeySet::jwks(&text, algorithms).with_context(|| format!("trust {url}"))?;
        let folder = kept.parent().context("keep keys in a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("make the folder {}", folder.display()))?;
        let content = [format!("{url}\n").as_bytes(), &text].concat();
        runtime::file::replace(kept, &content, 0o600)
            .with_context(|| format!("keep {}", kept.display()))?;
        Ok(Some(set))
    }
}

/// Reads a file that may not be larger than a set of keys.
fn file_text(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || {
        let mut text = Vec::new();
        std::fs::File::open(path)?.take(SET_MAX as u64 * 2).read_to_end(&mut text)?;
        std::io::Result::Ok(text)
    };
    let text = read().with_context(|| format!("read {}", path.display()))?;
    ensure!(text.len() < SET_MAX * 2, "read {}: it is too large for keys", path.display());
    Ok(text)
}
