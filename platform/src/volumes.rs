//! A volume for each site's PostgreSQL: a file system of its own, in an image in the run directory, so that
//! drills can fill one and leave the others, and the machine, alone.
//!
//! Images stay from one start to the next, with the data in them; mounts go with the supervisor. What one
//! that was killed has left mounted is unmounted by the next start, or by `chaos recover`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use runtime::mounts;
use topology::{SiteId, Spec};

use crate::preflight::on_path;
use crate::run_dir::RunDir;

/// A database without data, and as much WAL as it keeps, have room in it.
pub(crate) const SIZE_MIN: u64 = 256 << 20;
/// Users find their way to their own data through it.
const MODE: u32 = 0o755;
/// How the names begin of what drills fill a volume with.
const BALLAST: &str = "bulkhead-drill-";
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

/// Unmounts what an earlier supervisor has left.
pub(crate) fn unmount_left(run_dir: &RunDir) -> anyhow::Result<()> {
    mounts::unmount_all(&mounts::below(&run_dir.path().join("sites"))?)
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
        if size.is_none() && !images.exists() {
            return Ok(None);
        }
        fs::create_dir_all(&images).with_context(|| format!("make {}", images.display()))?;
        let mut volumes = Self { places: Vec::new() };
        for site in spec.cells.iter().flat_map(topology::spec::Cell::sites) {
            let place = run_dir.site(&site).join("postgres");
            mount_one(&site, &images, &place, size)?;
            volumes.places.push(place);
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
    match (fs::metadata(&image), bytes) {
        (Ok(found), Some(bytes)) if found.len() != bytes => bail!(
            "mount {told} with {} MiB: it has {} MiB; leave --volumes out, or delete all data with \
             --fresh",
            bytes >> 20,
            found.len() >> 20
        ),
        (Ok(_), _) => {}
        (Err(_), None) => bail!("find {told}: start with --fresh, or bring it back"),
        (Err(_), Some(bytes)) => {
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
    run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(volume))?;
    clear(volume)?;
    fs::set_permissions(volume, Permissions::from_mode(MODE))
        .with_context(|| format!("open {} to everybody", volume.display()))
}

/// Removes what is not PostgreSQL's: what the file system begins with, and what filled it in a drill that
/// the machine did not survive.
fn clear(place: &Path) -> anyhow::Result<()> {
    let told = || format!("clear {}", place.display());
    for entry in fs::read_dir(place).with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name();
        if name == "lost+found" {
            fs::remove_dir(entry.path()).with_context(told)?;
        } else if name.to_string_lossy().starts_with(BALLAST) {
            fs::remove_file(entry.path()).with_context(told)?;
        }
    }
    Ok(())
}

/// Takes as much of the disk as is written into it.
fn make(image: &Path, size: u64) -> anyhow::Result<()> {
    let new = image.with_extension("new");
    let file = File::create(&new).with_context(|| format!("make {}", new.display()))?;
    file.set_len(size).with_context(|| format!("make {}", new.display()))?;
    // Nothing is kept back for root, who fills it.
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&new))?;
    fs::rename(&new, image).with_context(|| format!("put {} in its place", image.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "run {command:?}: {}", said.trim());
    Ok(())
}
