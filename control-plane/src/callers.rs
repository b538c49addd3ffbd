//! Who may call, and what for: a file of names, roles and hashes. It has no token in it, and opens
//! nothing.
//!
//! ```text
//! # name     role      sha-256 of the token
//! mei        operator  5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
//! ```
//!
//! The file is read again while the process runs. A token is rotated by a second line of the same
//! name, which holds as soon as it is there, and by taking the first one out once nobody uses it.
//! Tokens are long and random, so that their plain hash can be kept: nobody guesses 256 bits.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::Board;
use runtime::reconcile::reconcile;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// How long a new or withdrawn token may take to be noticed.
const AGAIN: Duration = Duration::from_secs(2);
/// Longest file read: some thousand callers.
const FILE_MAX: usize = 256 * 1024;
/// Longest name: it is in every audit entry.
const NAME_MAX: usize = 64;

/// What a caller may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Moves cells.
    Operator,
    /// Freezes the platform, and gives up data.
    Admin,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub name: String,
    pub role: Role,
}

/// Everybody who may call, as of the last time the file was good. Cheap to clone; all clones see the
/// same.
#[derive(Clone)]
pub struct Callers {
    path: Arc<PathBuf>,
    known: watch::Sender<Arc<Vec<Known>>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Known {
    caller: Caller,
    hash: [u8; 32],
}

impl Role {
    const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no role; there are viewer, operator and admin"))
    }
}

impl Callers {
    /// Reads the file, or says everything that is wrong with it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let known = read(path)?;
        Ok(Self { path: Arc::new(path.to_owned()), known: watch::channel(Arc::new(known)).0 })
    }

    /// Returns whose token this is.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Caller> {
        let offered: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self.known.borrow();
        known.iter().find(|known| is_same(&known.hash, &offered)).map(|known| known.caller.clone())
    }

    /// Returns what names a token and opens nothing: the beginning of its hash.
    #[must_use]
    pub fn fingerprint(token: &str) -> String {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        fingerprint(&hash)
    }

    /// Returns whose token has this fingerprint, as long as it is one.
    #[must_use]
    pub fn of_fingerprint(&self, named: &str) -> Option<Caller> {
        let known = self.known.borrow();
        let found = known.iter().find(|known| fingerprint(&known.hash) == named);
        found.map(|known| known.caller.clone())
    }

    /// Reads the file again and again. While it is wrong, those who were known stay known.
    pub async fn follow(self, board: Board, stop: CancellationToken) -> anyhow::Result<()> {
        reconcile("read who may call", &board, &Notify::new(), AGAIN, stop, || async {
            let known = read(&self.path)?;
            let changed = self.known.send_if_modified(|last| {
                let differs = **last != known;
                if differs {
                    *last = Arc::new(known);
                }
                differs
            });
            if changed {
                info!(callers = self.known.borrow().len(), "callers changed");
            }
            Ok(())
        })
        .await
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<Known>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    if text.len() > FILE_MAX {
        bail!("read {}: it is longer than {FILE_MAX} bytes", path.display());
    }
    parse(&text).map_err(|findings| {
        anyhow::anyhow!("accept {}:\n  {}", path.display(), findings.join("\n  "))
    })
}

/// Returns everybody, or what is wrong with each line.
fn parse(text: &str) -> Result<Vec<Known>, Vec<String>> {
    let (mut known, mut findings) = (Vec::<Known>::new(), Vec::new());
    let mut hashes = BTreeSet::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Err(finding) => findings.push(format!("line {number}: {finding}")),
            Ok(new) => {
                let other = known.iter().find(|known| known.caller.name == new.caller.name);
                if let Some(other) = other.filter(|other| other.caller.role != new.caller.role) {
                    let Caller { name, role } = &other.caller;
                    findings
                        .push(format!("line {number}: {name:?} is {role} above; one role each"));
                }
                if !hashes.insert(new.hash) {
                    findings.push(format!("line {number}: this hash is on a line above already"));
                }
                known.push(new);
            }
        }
    }
    if known.is_empty() && findings.is_empty() {
        findings.push("nobody may call; write a line `NAME ROLE SHA256-OF-TOKEN`".to_owned());
    }
    if findings.is_empty() { Ok(known) } else { Err(findings) }
}

fn entry(line: &str) -> Result<Known, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, role, hash] = words[..] else {
        return Err(format!("{} words, not the three NAME ROLE SHA256", words.len()));
    };
    let is_plain = |char: char| char.is_alphanumeric() || "-_.@".contains(char);
    if name.chars().count() > NAME_MAX || !name.chars().all(is_plain) {
        return Err(format!(
            "a name is at most {NAME_MAX} letters, digits and any of -_.@, not {name:?}"
        ));
    }
    let caller = Caller { name: name.to_owned(), role: role.parse()? };
    // Not repeated: somebody may have written the token itself there.
    let hash = digest(hash).ok_or("the hash is not 64 hexadecimal digits, as of sha256sum")?;
    Ok(Known { caller, hash })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

/// Sixteen bytes: no two tokens share them.
fn fingerprint(hash: &[u8; 32]) -> String {
    hash[..16].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Compares in a time that does not depend on where they differ.
fn is_same(own: &[u8; 32], other: &[u8; 32]) -> bool {
    own.iter().zip(other).fold(0, |sum, (own, other)| sum | (own ^ other)) == 0
}

#[cfg(test)]
mod tests;
