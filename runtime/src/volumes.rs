//! Volumes below a run directory, found by whoever did not mount them: what is mounted in `sites/NAME` is one if
//! `volumes/NAME.img` is there.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::mounts;

/// Returns where the images are.
#[must_use]
pub fn images(run_dir: &Path) -> PathBuf {
    run_dir.join("volumes")
}

/// Returns where volumes are mounted, what is mounted last first. What has no image is no volume: somebody
/// else has mounted it, and it is theirs.
pub fn mounted(run_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut volumes = Vec::new();
    for place in mounts::below(&run_dir.join("sites"))? {
        let Some(image) = image_of(&images(run_dir), &place) else { continue };
        if image.try_exists().with_context(|| format!("look for {}", image.display()))? {
            volumes.push(place);
        }
    }
    Ok(volumes)
}

/// Returns the image that a folder would be mounted from.
fn image_of(images: &Path, place: &Path) -> Option<PathBuf> {
    let name = place.parent()?.file_name()?.to_str()?;
    Some(images.join(format!("{name}.img")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_volume_by_the_image_of_its_name() {
        let image = image_of(Path::new("/run/volumes"), Path::new("/run/sites/c1@east/postgres"));
        assert_eq!(image, Some(PathBuf::from("/run/volumes/c1@east.img")));
        assert_eq!(image_of(Path::new("/run/volumes"), Path::new("/")), None);
    }
}
