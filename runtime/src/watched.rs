//! What is read from files at the start, and again whenever they change.
//!
//! Files that cannot be read, or that do not belong together, change nothing: what is in use stays,
//! and the reason is said once. Whoever replaces several files does so one after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How soon a change is noticed.
const LOOK: Duration = Duration::from_secs(2);

/// Makes of the files' bytes what is used.
type Understand<T> = Box<dyn Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync>;

/// What was made of files, as they were when they were last right.
pub struct Watched<T> {
    /// For people.
    what: &'static str,
    files: Vec<PathBuf>,
    understand: Understand<T>,
    current: ArcSwap<T>,
}

/// What was found the last time: the files, or why they could not be read.
type Seen = Result<Vec<Vec<u8>>, String>;

impl<T> Watched<T> {
    /// Reads the files, which must be right now.
    pub fn read(
        what: &'static str,
        files: Vec<PathBuf>,
        understand: impl Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let current = understand(&bytes(&files)?)?;
        let understand = Box::new(understand);
        Ok(Self { what, files, understand, current: ArcSwap::from_pointee(current) })
    }

    /// The same for what can be done without: files that are not right yet are looked at again.
    pub fn hope(
        what: &'static str,
        files: Vec<PathBuf>,
        understand: impl Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> Self
    where
        T: Default,
    {
        let read = bytes(&files).and_then(|bytes| understand(&bytes));
        let current = read.unwrap_or_else(|err| {
            warn!(what, error = format!("{err:#}"), "files refused, and nothing in their place");
            T::default()
        });
        Self {
            what,
            files,
            understand: Box::new(understand),
            current: ArcSwap::from_pointee(current),
        }
    }

    /// Returns what is in use.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Looks at the files until stopped.
    pub async fn watch(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut turns = interval(LOOK);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.seen();
        loop {
            tokio::select! {
                _ = turns.tick() => self.look(&mut seen),
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    fn seen(&self) -> Seen {
        bytes(&self.files).map_err(|err| format!("{err:#}"))
    }

    /// Puts the files to use, if they have changed since they were last seen and are right.
    fn look(&self, seen: &mut Seen) {
        let found = self.seen();
        if *seen == found {
            return;
        }
        let next = match &found {
            Ok(bytes) => (self.understand)(bytes).map_err(|err| format!("{err:#}")),
            Err(why) => Err(why.clone()),
        };
        match next {
            Ok(next) => {
                info!(what = self.what, "changed files are in use");
                self.current.store(Arc::new(next));
            }
            Err(error) => warn!(what = self.what, error, "changed files refused, the old stay"),
        }
        *seen = found;
    }
}

fn bytes(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    let read =
        |path: &PathBuf| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[test]
    fn a_change_of_both_files_is_used_once_they_belong_together() {
        let (one, two) = (Folder::new("both"), "2");
        let watched = one.watched();
        let mut seen = watched.seen();
        one.write("left", two);
        watched.look(&mut seen);
        assert_eq!(*watched.current(), "1");
        one.write("right", two);
        watched.look(&mut seen);
        assert_eq!(*watched.current(), "2");
    }

    #[test]
    fn a_file_that_is_gone_changes_nothing() {
        let folder = Folder::new("gone");
        let watched = folder.watched();
        let mut seen = watched.seen();
        std::fs::remove_file(folder.0.join("left")).unwrap();
        watched.look(&mut seen);
        assert_eq!(*watched.current(), "1");
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("bulkhead-files-{name}-{}", std::process::id());
            let folder = Self(std::env::temp_dir().join(name));
            std::fs::create_dir_all(&folder.0).unwrap();
            folder.write("left", "1");
            folder.write("right", "1");
            folder
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.join(name), text).unwrap();
        }

        fn watched(&self) -> Watched<String> {
            let files = vec![self.0.join("left"), self.0.join("right")];
            Watched::read("both", files, |bytes| {
                ensure!(bytes[0] == bytes[1], "match left and right");
                Ok(String::from_utf8(bytes[0].clone())?)
            })
            .unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
