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
    Pulled(LeverRecord),
    /// Nobody knows, and why.
    Silent(String),
    /// No platform runs here whose etcd could be asked.
    NoPlatform,
}

impl Seen {
    /// Returns why no drill may run; `None` if one may.
    pub(crate) fn pulled(&self) -> Option<&str> {
        let in_etcd = match &self.etcd {
            InEtcd::Pulled(record) => Some(record.reason.as_str()),
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
            Self::Pulled(record) => write!(f, "pulled: {}", told(record)),
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
            Ok(Some(record)) => InEtcd::Pulled(record),
            Err(why) => InEtcd::Silent(format!("failed to {why:#}")),
        },
    };
    Seen { file, etcd }
}

/// Looks at both places for whoever does not know yet whether a platform runs.
pub(crate) async fn look_in(run_dir: &Path) -> Seen {
    match Platform::find(run_dir) {
        Ok(platform) => look(run_dir, platform.as_ref()).await,
        // The file says what it says although nobody can be asked for the rest.
        Err(why) => {
            Seen { file: file::pulled(run_dir), etcd: InEtcd::Silent(format!("failed to {why:#}")) }
        }
    }
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

/// What setting the lever came to, in each of its places.
#[derive(Debug)]
pub(crate) struct Set {
    /// Why it was pulled there before, if it was.
    pub(crate) file: anyhow::Result<Option<String>>,
    pub(crate) etcd: EtcdHalf,
}

#[derive(Debug)]
pub(crate) enum EtcdHalf {
    /// With how it was pulled there before, if it was.
    Set(Option<LeverRecord>),
    /// Why etcd does not have it.
    Failed(anyhow::Error),
    /// There is no etcd to have it.
    NoPlatform,
}

impl Set {
    /// Returns why it was pulled before, if it was in either place; who pulled it, only etcd knows.
    pub(crate) fn before(&self) -> Option<String> {
        let in_file = || self.file.as_ref().ok().cloned().flatten();
        match &self.etcd {
            EtcdHalf::Set(Some(record)) => Some(told(record)),
            EtcdHalf::Set(None) | EtcdHalf::Failed(_) | EtcdHalf::NoPlatform => in_file(),
        }
    }
}

/// Pulls it in both places, the file first, since etcd may be what is broken. One that cannot be set keeps the
/// other from nothing: a full disk takes no file.
pub(crate) async fn pull(run_dir: &Path, reason: &str) -> Set {
    let reason: String = reason.chars().take(REASON_MAX).collect();
    let file = file::pull(run_dir, &reason);
    Set { file, etcd: set_in_etcd(run_dir, true, reason).await }
}

/// Lets drills start again. Where the file stays, so does the key: it is as pulled as before.
pub(crate) async fn release(run_dir: &Path) -> anyhow::Result<Set> {
    let file = Ok(file::release(run_dir)?);
    Ok(Set { file, etcd: set_in_etcd(run_dir, false, String::new()).await })
}

async fn set_in_etcd(run_dir: &Path, pulled: bool, reason: String) -> EtcdHalf {
    let (who, since_unix_ms) = (Some(who()), Some(clock::unix_millis()));
    let record = LeverRecord { pulled, reason, who, since_unix_ms };
    let written = match Platform::find(run_dir) {
        Ok(None) => return EtcdHalf::NoPlatform,
        Ok(Some(platform)) => Key::of(&platform).replace(&record).await,
        Err(err) => Err(err),
    };
    written.map_or_else(EtcdHalf::Failed, EtcdHalf::Set)
}

/// Returns who runs this, and on which machine, as far as these say: for people, and no proof.
fn who() -> String {
    // Whoever became root by `sudo` is still somebody.
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

/// Returns why it is pulled, and who pulled it when, as far as that is known.
fn told(record: &LeverRecord) -> String {
    let LeverRecord { reason, who, since_unix_ms, .. } = record;
    let since = since_unix_ms.map(|since| format!("since {}", clock::utc(since)));
    let by = who.as_ref().map(|who| format!("by {who}"));
    let rest: Vec<String> = by.into_iter().chain(since).collect();
    if rest.is_empty() { reason.clone() } else { format!("{reason} ({})", rest.join(", ")) }
}

fn unknown(why: &str) -> String {
    format!("whether the lever is pulled in etcd is not known, and its file alone counts: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulled_in_either_place_it_is_pulled() {
        let pulled = || InEtcd::Pulled(record());
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
        let set = pull(&run_dir, &long).await;
        assert!(matches!((&set.file, &set.etcd), (Ok(None), EtcdHalf::NoPlatform)), "{set:?}");
        let cut = Some("事".repeat(REASON_MAX));
        let seen = look_in(&run_dir).await;
        assert_eq!(seen, Seen { file: cut.clone(), etcd: InEtcd::NoPlatform });
        let set = release(&run_dir).await.unwrap();
        assert_eq!((set.before(), look_in(&run_dir).await.pulled()), (cut, None));
        std::fs::remove_dir_all(&run_dir).unwrap();
    }

    #[tokio::test]
    async fn a_platform_that_cannot_be_read_hides_no_file() {
        let run_dir = std::env::temp_dir().join(format!("chaos-lever-odd-{}", std::process::id()));
        std::fs::create_dir_all(&run_dir).unwrap();
        std::fs::write(run_dir.join("fleet.json"), "perhaps").unwrap();
        let set = pull(&run_dir, "an incident").await;
        assert!(matches!((&set.file, &set.etcd), (Ok(None), EtcdHalf::Failed(_))), "{set:?}");
        let seen = look_in(&run_dir).await;
        assert_eq!((seen.pulled(), seen.doubt().is_some()), (Some("an incident"), true));
        std::fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn who_pulled_it_and_when_is_told_as_far_as_it_is_known() {
        assert_eq!(told(&record()), "elsewhere (by ada@edge, since 1970-01-01 00:00:07Z)");
        let odd = LeverRecord::pulled(b"perhaps").unwrap();
        assert_eq!(told(&odd), odd.reason);
    }

    #[test]
    fn why_it_was_pulled_before_is_told_of_either_place() {
        let set = |file: Option<&str>, etcd| Set { file: Ok(file.map(str::to_owned)), etcd };
        let in_etcd = || EtcdHalf::Set(Some(record()));
        for (set, expected) in [
            (set(None, EtcdHalf::Set(None)), None),
            (set(Some("here"), EtcdHalf::Set(None)), Some("here".to_owned())),
            (set(None, in_etcd()), Some(told(&record()))),
            (set(Some("here"), in_etcd()), Some(told(&record()))),
            (set(Some("here"), EtcdHalf::NoPlatform), Some("here".to_owned())),
        ] {
            assert_eq!(set.before(), expected, "{set:?}");
        }
    }

    fn record() -> LeverRecord {
        LeverRecord {
            pulled: true,
            reason: "elsewhere".to_owned(),
            who: Some("ada@edge".to_owned()),
            since_unix_ms: Some(7000),
        }
    }
}
