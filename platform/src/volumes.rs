//! A volume for each site's PostgreSQL: a file system of its own, in an image in the run directory, so that
//! drills can fill one and leave the others, and the machine, alone.
//!
//! Images stay from one start to the next, with the data in them; mounts go with the supervisor. What one
//! that was killed has left mounted is unmounted by the next start, or by `chaos recover`.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use runtime::{mounts, program, volumes};
use topology::{SiteId, Spec};

use crate::disk;
use crate::preflight::on_path;
use crate::run_dir::RunDir;

/// A database without data, and as much WAL as it keeps, have room in it.
pub(crate) const SIZE_MIN: u64 = 256 << 20;
/// Users find their way to their own data through it.
const MODE: u32 = 0o755;
/// An image is everything that a site keeps: read and written by root alone.
const IMAGE_MODE: u32 = 0o600;
const IMAGES_MODE: u32 = 0o700;
/// A file system is made, and its journal replayed, within seconds even on a disk that is busy.
const PATIENCE: Duration = Duration::from_mins(1);
/// What a file system begins with, for what it finds when it is repaired.
const LOST_AND_FOUND: &str = "lost+found";
/// What mounting needs, with the package it is of.
const PROGRAMS: [(&str, &str); 3] =
    [("mkfs.ext4", "e2fsprogs"), ("mount", "mount"), ("umount", "mount")];

/// Mounted until dropped.
pub(crate) struct Volumes {
    places: Vec<PathBuf>,
}

/// Says what is missing for volumes.
pub(crate) fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !crate::machine::is_root() {
        missing.push("run as root: volumes are mounted".to_owned());
    }
    missing.extend(PROGRAMS.iter().filter_map(|(name, package)| on_path(name, package).err()));
    if !Path::new("/dev/loop-control").exists() {
        missing.push("/dev/loop-control: not there; modprobe loop".to_owned());
    }
    missing
}

/// Whether an earlier start has made some.
pub(crate) fn are_there(run_dir: &RunDir) -> anyhow::Result<bool> {
    disk::is_there(&run_dir.volumes())
}

/// Unmounts what an earlier supervisor has left.
pub(crate) fn unmount_left(run_dir: &RunDir) -> anyhow::Result<()> {
    mounts::unmount_all(&volumes::mounted(run_dir.path())?)
}

impl Volumes {
    /// Mounts a volume for each site. Those of an earlier start are mounted again, whether or not a size
    /// is named; without one and without them there are none.
    pub(crate) fn mount(
        spec: &Spec,
        run_dir: &RunDir,
        size: Option<u64>,
    ) -> anyhow::Result<Option<Self>> {
        let images = run_dir.volumes();
        if size.is_none() && !are_there(run_dir)? {
            return Ok(None);
        }
        let made = DirBuilder::new().recursive(true).mode(IMAGES_MODE).create(&images);
        made.with_context(|| format!("make {}", images.display()))?;
        close(&images, IMAGES_MODE)?;
        let mut volumes = Self { places: Vec::new() };
        for site in spec.cells.iter().flat_map(topology::spec::Cell::sites) {
            let place = run_dir.site(&site).join("postgres");
            // Noted before: one that fails half way may be mounted.
            volumes.places.push(place.clone());
            mount_one(&site, &images, &place, size)?;
        }
        Ok(Some(volumes))
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        if let Err(err) = mounts::unmount_all(&self.places) {
            tracing::warn!(error = format!("{err:#}"), "left to the next start");
        }
    }
}

fn mount_one(
    site: &SiteId,
    images: &Path,
    volume: &Path,
    bytes: Option<u64>,
) -> anyhow::Result<()> {
    let image = images.join(format!("{site}.img"));
    let told = image.display();
    fs::create_dir_all(volume).with_context(|| format!("make {}", volume.display()))?;
    match (length(&image)?, bytes) {
        (Some(found), Some(bytes)) if found != bytes => bail!(
            "mount {told} with {} MiB: it has {} MiB; leave --volumes out, or delete all data with \
             --fresh",
            bytes >> 20,
            found >> 20
        ),
        (Some(_), _) => close(&image, IMAGE_MODE)?,
        (None, None) => bail!("find {told}: start with --fresh, or bring it back"),
        (None, Some(bytes)) => {
            let entries =
                fs::read_dir(volume).with_context(|| format!("list {}", volume.display()))?;
            ensure!(
                entries.count() == 0,
                "mount a volume at {}: it has data already; delete all data with --fresh",
                volume.display()
            );
            make(&image, bytes)?;
        }
    }
    let mut command = Command::new("mount");
    command.args(["-o", "loop"]).arg(&image).arg(volume);
    run(command).with_context(|| format!("mount {told} at {}", volume.display()))?;
    clear(volume)?;
    fs::set_permissions(volume, Permissions::from_mode(MODE))
        .with_context(|| format!("open {} to everybody", volume.display()))
}

/// Returns how long an image is; none where there is none yet.
fn length(image: &Path) -> anyhow::Result<Option<u64>> {
    match fs::metadata(image) {
        Ok(found) => Ok(Some(found.len())),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("look at {}", image.display())),
    }
}

/// Whatever it was made with.
fn close(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("close {} to others", path.display()))
}

/// Removes what the file system begins with: a site's folder has what is PostgreSQL's, and nothing else.
fn clear(place: &Path) -> anyhow::Result<()> {
    let path = place.join(LOST_AND_FOUND);
    match fs::remove_dir(&path) {
        Err(err) if err.kind() != ErrorKind::NotFound => {
            Err(err).with_context(|| format!("remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes as much of the disk as is written into it.
fn make(image: &Path, size: u64) -> anyhow::Result<()> {
    let new = image.with_extension("new");
    set_aside(&new, size).with_context(|| format!("make {}", new.display()))?;
    // Nothing is kept back for root, who fills it.
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-m", "0"]).arg(&new);
    run(command).with_context(|| format!("make a file system in {}", new.display()))?;
    fs::rename(&new, image).with_context(|| format!("put {} in its place", image.display()))
}

fn set_aside(image: &Path, size: u64) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(IMAGE_MODE);
    let file = options.open(image)?;
    // One that was begun before has the mode that it had.
    file.set_permissions(Permissions::from_mode(IMAGE_MODE))?;
    file.set_len(size)
}

fn run(command: Command) -> anyhow::Result<()> {
    program::run_within(command, "", PATIENCE).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_nobody_elses_and_only_one_that_is_not_there_is_yet_to_be_made() {
        let folder = std::env::temp_dir().join(format!("platform-volumes-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let image = folder.join("c1@east.img");
        assert_eq!(length(&image).unwrap(), None);
        fs::write(&image, "begun before").unwrap();
        set_aside(&image, 4096).unwrap();
        assert_eq!(length(&image).unwrap(), Some(4096));
        assert_eq!(fs::metadata(&image).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(length(&image.join("below-a-file.img")).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
