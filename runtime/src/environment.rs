//! Whether a platform may be broken at all: its run directory has an id, and drills run only where
//! the same id was written down once more to allow them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;

/// Made by `platform up`.
const ID: &str = "environment";
/// Removing it, or writing another id into it, forbids drills.
const ALLOWED: &str = "drills-allowed";

/// Returns the environment's id if drills may run there, and it is the one that is wanted; else
/// why not.
pub fn allows(run_dir: &Path, wanted: Option<&str>) -> anyhow::Result<Result<String, String>> {
    let place = |name: &str| run_dir.join(name).display().to_string();
    let Some(id) = read(run_dir, ID)? else {
        let id = place(ID);
        return Ok(Err(format!("the platform has no id: {id} is missing; `platform up` makes it")));
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != id) {
        return Ok(Err(format!("it is for the environment {wanted}, and this one is {id}")));
    }
    Ok(match read(run_dir, ALLOWED)? {
        Some(allowed) if allowed == id => Ok(id),
        Some(allowed) => {
            Err(format!("{} allows drills in {allowed}, and this is {id}", place(ALLOWED)))
        }
        None => Err(format!(
            "drills are not allowed in {id}: `echo {id} > {}` allows them",
            place(ALLOWED)
        )),
    })
}

/// Returns whether a platform was ever started there.
pub fn has_id(run_dir: &Path) -> anyhow::Result<bool> {
    Ok(id(run_dir)?.is_some())
}

/// Returns the environment's id, if it has one.
pub fn id(run_dir: &Path) -> anyhow::Result<Option<String>> {
    read(run_dir, ID)
}

fn read(run_dir: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let path = run_dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_run_where_the_id_was_written_down_twice_and_nowhere_else() {
        let run_dir = std::env::temp_dir().join(format!("environment-{}", std::process::id()));
        fs::create_dir_all(&run_dir).unwrap();
        let allows = |wanted| allows(&run_dir, wanted).unwrap();
        assert!(allows(None).unwrap_err().contains("has no id"));
        fs::write(run_dir.join(ID), "local-1\n").unwrap();
        assert!(allows(None).unwrap_err().contains("not allowed in local-1"));
        fs::write(run_dir.join(ALLOWED), "local-2\n").unwrap();
        assert!(allows(None).unwrap_err().contains("allows drills in local-2"));
        fs::write(run_dir.join(ALLOWED), "local-1\n").unwrap();
        assert_eq!(allows(None), Ok("local-1".to_owned()));
        assert_eq!(allows(Some("local-1")), Ok("local-1".to_owned()));
        let refused = "it is for the environment production, and this one is local-1".to_owned();
        assert_eq!(allows(Some("production")), Err(refused));
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
