//! Files that are whole or not there, and files that are gone with who has them open.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Replaces a file's content so that a crash at any moment leaves the old or the new one: written
/// beside it, flushed, renamed, and the folder flushed. `mode` as in `chmod`.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
    let mut name = path.file_name().ok_or_else(|| io::Error::other("no file name"))?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let written = write(&beside, content, mode).and_then(|()| fs::rename(&beside, path));
    if let Err(err) = written {
        // On a full disk half a file would take what little room is left. It may not even exist.
        drop(fs::remove_file(&beside));
        return Err(err);
    }
    File::open(folder)?.sync_all()
}

/// Makes a file on the file system of a folder that has no name: nobody else finds it, and the kernel
/// removes it once nobody has it open, however that came about. An error where the file system has no such
/// files; those of disks and memory do.
pub fn unnamed(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE.bits().cast_signed();
    fs::OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(folder)
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_leaves_nothing_beside_it() {
        let folder = std::env::temp_dir().join(format!("bulkhead-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("vote");
        replace(&path, b"old", 0o600).unwrap();
        replace(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_unnamed_file_takes_text_and_is_in_no_folder() {
        let folder = std::env::temp_dir().join(format!("bulkhead-unnamed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut file = unnamed(&folder).unwrap();
        file.write_all(b"a page").unwrap();
        assert_eq!(file.metadata().unwrap().len(), 6);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
