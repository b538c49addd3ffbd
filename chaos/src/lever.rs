//! The lever: while it is pulled, no drill starts, and one that runs is stopped, by its runner and by its
//! guard.
//!
//! It is in two places, and pulled in either it is pulled. The file in the run directory holds when etcd is what
//! a drill has broken; the key in etcd holds for drills of every machine. An etcd that does not answer counts as
//! released, which is said: a drill of etcd could not be run otherwise.

mod etcd;
mod file;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use runtime::clock;
use tokio::time::sleep;
use topology::wire::lever::LeverRecord;

use crate::platform::Platform;

pub(crate) use etcd::Key;
pub(crate) use file::of_run;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_millis(200);
/// Letters of a reason: whoever is refused reads it.
const REASON_MAX: usize = 500;

/// What a look at both places has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Why it is pulled in the file, if it is.
    pub(crate) file: Option<String>,
    pub(crate) etcd: InEtcd,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InEtcd {
    Released,
    /// Why.
    Pulled(String),
    /// Nobody knows, and why.
    Silent(String),
    /// No platform runs here whose etcd could be asked.
    NoPlatform,
}

impl Seen {
    /// Returns why no drill may run; `None` if one may.
    pub(crate) fn pulled(&self) -> Option<&str> {
        let in_etcd = match &self.etcd {
            InEtcd::Pulled(why) => Some(why.as_str()),
            InEtcd::Released | InEtcd::Silent(_) | InEtcd::NoPlatform => None,
        };
        self.file.as_deref().or(in_etcd)
    }

    /// Returns what has to be said where only the file counts although there is an etcd.
    pub(crate) fn doubt(&self) -> Option<String> {
        match &self.etcd {
            InEtcd::Silent(why) => Some(unknown(why)),
            InEtcd::Released | InEtcd::Pulled(_) | InEtcd::NoPlatform => None,
        }
    }
}

impl fmt::Display for InEtcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released => f.write_str("released"),
            Self::Pulled(why) => write!(f, "pulled: {why}"),
            Self::Silent(why) => write!(f, "not known, counts as released: {why}"),
            Self::NoPlatform => f.write_str("no platform runs here"),
        }
    }
}

/// Looks at both places; at etcd for a second at most.
pub(crate) async fn look(run_dir: &Path, platform: Option<&Platform>) -> Seen {
    let file = file::pulled(run_dir);
    let etcd = match platform {
        None => InEtcd::NoPlatform,
        Some(platform) => match Key::of(platform).read().await {
            Ok(None) => InEtcd::Released,
            Ok(Some(why)) => InEtcd::Pulled(why),
            Err(why) => InEtcd::Silent(format!("{why:#}")),
        },
    };
    Seen { file, etcd }
}

/// Returns only once it is pulled, and why. `say` is told when nobody knows any more whether it is in etcd, and
/// when somebody does again.
pub(crate) async fn until_pulled(platform: &Platform, say: impl Fn(&str)) -> String {
    let in_file = async {
        loop {
            if let Some(why) = file::pulled(&platform.run_dir) {
                return why;
            }
            sleep(LOOK).await;
        }
    };
    let key = Key::of(platform);
    tokio::select! {
        why = in_file => why,
        why = key.until_pulled(say) => why,
    }
}

/// What became of etcd's half when the lever was set.
#[derive(Debug)]
pub(crate) enum Set {
    Both,
    /// Why etcd does not have it.
    FileAlone(anyhow::Error),
    /// There is no etcd to have it.
    NoPlatform,
}

/// Pulls it, the file first: that always works.
pub(crate) async fn pull(run_dir: &Path, reason: &str) -> anyhow::Result<Set> {
    let reason: String = reason.chars().take(REASON_MAX).collect();
    file::pull(run_dir, &reason)?;
    Ok(set_in_etcd(run_dir, true, reason).await)
}

/// Lets drills start again; returns whether the file had stopped them, too.
pub(crate) async fn release(run_dir: &Path) -> anyhow::Result<(bool, Set)> {
    let was_pulled = file::release(run_dir)?;
    Ok((was_pulled, set_in_etcd(run_dir, false, String::new()).await))
}

async fn set_in_etcd(run_dir: &Path, pulled: bool, reason: String) -> Set {
    let record = LeverRecord { pulled, reason, since_unix_ms: clock::unix_millis() };
    let written = match Platform::find(run_dir) {
        Ok(None) => return Set::NoPlatform,
        Ok(Some(platform)) => Key::of(&platform).write(&record).await,
        Err(err) => Err(err),
    };
    written.map_or_else(Set::FileAlone, |()| Set::Both)
}

fn unknown(why: &str) -> String {
    format!("whether the lever is pulled in etcd is not known, and its file alone counts: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulled_in_either_place_it_is_pulled() {
        let pulled = || InEtcd::Pulled("elsewhere".to_owned());
        let silent = || InEtcd::Silent("no answer".to_owned());
        for (file, etcd, expected, is_doubted) in [
            (None, InEtcd::Released, None, false),
            (Some("here"), InEtcd::Released, Some("here"), false),
            (None, pulled(), Some("elsewhere"), false),
            (Some("here"), pulled(), Some("here"), false),
            // A drill may have broken etcd: its file still holds.
            (None, silent(), None, true),
            (Some("here"), silent(), Some("here"), true),
            (None, InEtcd::NoPlatform, None, false),
        ] {
            let seen = Seen { file: file.map(str::to_owned), etcd };
            assert_eq!(seen.pulled(), expected, "{seen:?}");
            assert_eq!(seen.doubt().is_some(), is_doubted, "{seen:?}");
        }
    }

    #[tokio::test]
    async fn without_a_platform_the_file_alone_is_set() {
        let run_dir = std::env::temp_dir().join(format!("chaos-lever-both-{}", std::process::id()));
        let long = "事".repeat(REASON_MAX + 1);
        assert!(matches!(pull(&run_dir, &long).await.unwrap(), Set::NoPlatform));
        let seen = look(&run_dir, None).await;
        assert_eq!(seen, Seen { file: Some("事".repeat(REASON_MAX)), etcd: InEtcd::NoPlatform });
        let (was_pulled, set) = release(&run_dir).await.unwrap();
        assert!(was_pulled && matches!(set, Set::NoPlatform));
        std::fs::remove_dir_all(&run_dir).unwrap();
    }
}
