//! A file that is begun anew when it is large enough, with a few of its predecessors kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Where a file ends: a few hundred thousand lines.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// `access.jsonl.1` is the one before, `access.jsonl.4` the oldest kept.
const PREDECESSORS: u32 = 4;

pub(super) struct Rotated {
    path: PathBuf,
    bytes_max: u64,
    open: Option<Open>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl Rotated {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, bytes_max: BYTES_MAX, open: None }
    }

    /// Adds whole lines, to a new file where they do not fit. Opens it again after a failure.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let more = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if open.bytes > 0 && open.bytes.saturating_add(more) > self.bytes_max {
            self.make_way()?;
            open = self.begin()?;
        }
        if let Err(err) = open.file.write_all(text) {
            // A full disk takes a part of a line, which would spoil the next one too.
            open.file.set_len(open.bytes)?;
            return Err(err);
        }
        open.bytes += more;
        self.open = Some(open);
        Ok(())
    }

    fn begin(&self) -> io::Result<Open> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let bytes = file.metadata()?.len();
        Ok(Open { file, bytes })
    }

    /// Moves each file one place on; the oldest is overwritten.
    fn make_way(&self) -> io::Result<()> {
        for number in (0..PREDECESSORS).rev() {
            let from = self.predecessor(number);
            if from.exists() {
                fs::rename(from, self.predecessor(number + 1))?;
            }
        }
        Ok(())
    }

    /// The file itself is number 0.
    fn predecessor(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_way_and_the_oldest_is_forgotten() {
        let (folder, mut file) = rotated("makes-way", 4);
        for line in ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n", "h\n", "i\n", "j\n", "k\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        let kept = |number| fs::read_to_string(file.predecessor(number)).ok();
        assert_eq!(kept(0).as_deref(), Some("k\n"));
        assert_eq!(kept(1).as_deref(), Some("i\nj\n"));
        assert_eq!(kept(4).as_deref(), Some("c\nd\n"));
        assert_eq!(kept(5), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_restarted_router_adds_to_the_file_it_finds() {
        let (folder, mut file) = rotated("adds", 100);
        file.write(b"a\n").unwrap();
        let mut file = Rotated { open: None, ..file };
        file.write(b"b\n").unwrap();
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "a\nb\n");
        fs::remove_dir_all(folder).unwrap();
    }

    fn rotated(name: &str, bytes_max: u64) -> (PathBuf, Rotated) {
        let folder = std::env::temp_dir().join(format!("access-log-{name}-{}", std::process::id()));
        let path = folder.join("access.jsonl");
        (folder, Rotated { path, bytes_max, open: None })
    }
}
