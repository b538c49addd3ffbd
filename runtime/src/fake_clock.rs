//! Clocks that drills can set: libfaketime adds to the wall clock of a process what a file says, and
//! leaves the monotonic ones alone. The processes are started with it, or no drill can set theirs.

use std::fs;
use std::path::PathBuf;

/// Where the files are in the run directory, each named after its process.
pub const FOLDER: &str = "clocks";
/// What a file says of a clock that is right.
pub const RIGHT: &str = "+0";

/// Debian's package puts it below the folder of each architecture.
const PLACE: &str = "/usr/lib";
/// For programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Returns the library, or what there is to be installed.
pub fn library() -> Result<PathBuf, String> {
    let folders = fs::read_dir(PLACE).into_iter().flatten().flatten();
    let mut places = folders.map(|folder| folder.path().join(LIBRARY));
    let found = places.find(|place| place.exists());
    found.ok_or_else(|| "libfaketime: not installed; apt-get install libfaketime".to_owned())
}
