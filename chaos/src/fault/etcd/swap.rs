//! Puts other data in the place of what etcd's members have, all members or none: what each had is kept until
//! all have been exchanged.
//!
//! ```text
//!   etcd/LABEL/{east,north}   restored, each with a mark in it
//!   exchange                  etcd/east ↔ etcd/LABEL/east: at no moment is there no data at all, with which
//!                             a member would begin a cluster anew, and give out every epoch again
//!   keep                      etcd/LABEL → etcd/LABEL.done: from here on what was restored is what counts
//!   put back                  etcd/LABEL → etcd/LABEL.back: from here on nobody else exchanges or keeps anything
//! ```
//!
//! Members must not run meanwhile: who holds them down sees to that, and no hold of theirs is lifted as long as one
//! of them has data that may be taken from it again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use runtime::process::all;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::process::Process;
use crate::undo::{PREFIX, Undone, end_all};

/// In the folder of data that was restored and not yet kept. etcd lets it be.
const MARK: &str = "restored-by-a-drill";
const DONE: &str = ".done";
const BACK: &str = ".back";
/// How whoever uses data, or makes them, is told where they are.
const DATA: &str = "--data-dir=";

/// Where members' data are, and where a drill makes others.
pub(crate) fn folder(run_dir: &Path) -> PathBuf {
    run_dir.join("etcd")
}

/// Marks what was restored for a member, before it is exchanged.
pub(crate) fn mark(aside: &Path, member: &str) -> anyhow::Result<()> {
    let path = aside.join(member).join(MARK);
    File::create(&path).map(|_| ()).with_context(|| format!("write {}", path.display()))
}

/// Exchanges what a member has for what was restored for it.
pub(crate) fn exchange(aside: &Path, member: &str) -> anyhow::Result<()> {
    let (there, data) = (aside.join(member), data_of(aside, member)?);
    ensure_unused(&data)?;
    renameat_with(CWD, &there, CWD, &data, RenameFlags::EXCHANGE)
        .with_context(|| format!("exchange {} and {}", there.display(), data.display()))
}

/// Deletes what the members had: what was restored is theirs from here on.
pub(super) fn keep(aside: &Path) -> anyhow::Result<()> {
    fs::rename(aside, called(aside, DONE))
        .with_context(|| format!("rename {}", aside.display()))?;
    tidy(aside)
}

/// Gives the members back what they had, or tidies up where what was restored is theirs.
pub(crate) fn put_back(aside: &Path) -> anyhow::Result<Undone> {
    if called(aside, DONE).exists() {
        tidy(aside)?;
        return Ok(Undone::Now);
    }
    end_writers(aside)?;
    let back = called(aside, BACK);
    if !back.exists() {
        match fs::rename(aside, &back) {
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Undone::Before),
            renamed => renamed.with_context(|| format!("rename {}", aside.display()))?,
        }
    }
    for member in names(&back)? {
        if is_marked(aside, &member)? {
            exchange(&back, &member)?;
        }
    }
    remove(&back)?;
    Ok(Undone::Now)
}

/// Fails while a member has data that may be taken from it again: it must not begin with them.
pub(crate) fn ensure_settled(run_dir: &Path) -> anyhow::Result<()> {
    for aside in of_drills(run_dir)? {
        for left in [aside.clone(), called(&aside, BACK)].iter().filter(|left| left.exists()) {
            for member in names(left)? {
                let is_marked = is_marked(&aside, &member)?;
                ensure!(!is_marked, "see etcd given what it had, from {}", left.display());
            }
        }
    }
    Ok(())
}

fn is_marked(aside: &Path, member: &str) -> anyhow::Result<bool> {
    Ok(data_of(aside, member)?.join(MARK).exists())
}

/// Returns what drills have left beside the members' data, each once.
pub(crate) fn of_drills(run_dir: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let folder = folder(run_dir);
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    let names = names(&folder)?.into_iter().filter(|name| name.starts_with(PREFIX));
    let plain = |name: &str| {
        let ending = [DONE, BACK].into_iter().find_map(|ending| name.strip_suffix(ending));
        ending.unwrap_or(name).to_owned()
    };
    Ok(names.map(|name| folder.join(plain(&name))).collect())
}

fn tidy(aside: &Path) -> anyhow::Result<()> {
    let done = called(aside, DONE);
    for member in names(&done)? {
        let mark = data_of(aside, &member)?.join(MARK);
        match fs::remove_file(&mark) {
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            removed => removed.with_context(|| format!("remove {}", mark.display()))?,
        }
    }
    remove(&done)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}

fn called(aside: &Path, ending: &str) -> PathBuf {
    let mut name = aside.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Where a member has its data: beside what is made for it.
fn data_of(aside: &Path, member: &str) -> anyhow::Result<PathBuf> {
    let folder = aside.parent().with_context(|| format!("find where {} is", aside.display()))?;
    Ok(folder.join(member))
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let told = || format!("list {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(told)? {
        let entry = entry.with_context(told)?;
        if entry.file_type().with_context(told)?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Fails if what a member runs on is not where its data are looked for.
pub(super) fn ensure_is(data: &Path, expected: &Path) -> anyhow::Result<()> {
    let (data, expected) = (whole(data)?, whole(expected)?);
    let (there, here) = (data.display(), expected.display());
    ensure!(data == expected, "find the data of a member in {here}: they are in {there}");
    Ok(())
}

/// Fails if a member runs on its data: under its feet nothing may be exchanged.
fn ensure_unused(data: &Path) -> anyhow::Result<()> {
    let data = whole(data)?;
    let is_it = |word: &str| {
        let path = word.strip_prefix(DATA);
        path.is_some_and(|path| fs::canonicalize(path).is_ok_and(|path| path == data))
    };
    if let Some(user) = users(is_it).first() {
        bail!("leave {} alone: process {} runs on it", data.display(), user.pid);
    }
    Ok(())
}

fn whole(path: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("find {}", path.display()))
}

/// Ends whoever still restores something there: its starter is gone.
fn end_writers(aside: &Path) -> anyhow::Result<()> {
    let is_it =
        |word: &str| word.strip_prefix(DATA).is_some_and(|made| Path::new(made).starts_with(aside));
    let told = || format!("end whoever writes to {}", aside.display());
    end_all(&users(is_it)).with_context(told)
}

fn users(is_it: impl Fn(&str) -> bool) -> Vec<Process> {
    let all = all().into_iter().map(|living| living.process);
    let own = std::process::id();
    all.filter(|process| process.pid != own)
        .filter(|process| process.arguments().iter().any(|word| is_it(word)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 2] = ["east", "north"];

    /// Members with old data, and new ones beside them. Returns the run directory and where they are.
    fn prepared(name: &str) -> (PathBuf, PathBuf) {
        let run_dir = std::env::temp_dir().join(format!("chaos-{name}-{}", std::process::id()));
        let aside = folder(&run_dir).join(format!("{PREFIX}a-run-wipe-3"));
        for member in MEMBERS {
            for (data, what) in
                [(folder(&run_dir).join(member), "old"), (aside.join(member), "new")]
            {
                fs::create_dir_all(&data).unwrap();
                fs::write(data.join("what"), what).unwrap();
            }
            mark(&aside, member).unwrap();
        }
        (run_dir, aside)
    }

    /// What each member has, and whether it is still marked, and what is in the folder in all.
    fn found(run_dir: &Path) -> (Vec<String>, bool, usize) {
        let data = MEMBERS.map(|member| folder(run_dir).join(member));
        let what = data.iter().map(|data| fs::read_to_string(data.join("what")).unwrap());
        let is_marked = data.iter().any(|data| data.join(MARK).exists());
        (what.collect(), is_marked, names(&folder(run_dir)).unwrap().len())
    }

    #[test]
    fn whoever_is_killed_before_all_are_exchanged_leaves_every_member_what_it_had() {
        for exchanged in 0..=MEMBERS.len() {
            let (run_dir, aside) = prepared(&format!("swap-{exchanged}"));
            for member in &MEMBERS[..exchanged] {
                exchange(&aside, member).unwrap();
            }
            assert_eq!(of_drills(&run_dir).unwrap(), [aside.clone()].into());
            assert_eq!(ensure_settled(&run_dir).is_ok(), exchanged == 0);
            assert_eq!(put_back(&aside).unwrap(), Undone::Now);
            assert!(ensure_settled(&run_dir).is_ok());
            assert_eq!(found(&run_dir), (vec!["old".to_owned(); 2], false, 2), "{exchanged}");
            assert_eq!(put_back(&aside).unwrap(), Undone::Before);
            fs::remove_dir_all(&run_dir).unwrap();
        }
    }

    #[test]
    fn what_was_restored_is_kept_by_all_once_it_is_whoever_is_killed_then() {
        let (run_dir, aside) = prepared("kept");
        for member in MEMBERS {
            exchange(&aside, member).unwrap();
        }
        // Killed in the middle of keeping it.
        fs::rename(&aside, called(&aside, DONE)).unwrap();
        assert!(ensure_settled(&run_dir).is_ok());
        assert_eq!(of_drills(&run_dir).unwrap(), [aside.clone()].into());
        assert_eq!(put_back(&aside).unwrap(), Undone::Now);
        assert_eq!(found(&run_dir), (vec!["new".to_owned(); 2], false, 2));
        assert_eq!(put_back(&aside).unwrap(), Undone::Before);
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn whoever_exchanges_on_while_it_is_put_back_exchanges_and_keeps_nothing() {
        let (run_dir, aside) = prepared("late");
        exchange(&aside, "east").unwrap();
        // Killed as soon as it had begun to put back.
        fs::rename(&aside, called(&aside, BACK)).unwrap();
        assert!(exchange(&aside, "north").is_err() && keep(&aside).is_err());
        assert!(ensure_settled(&run_dir).is_err());
        assert_eq!(of_drills(&run_dir).unwrap(), [aside.clone()].into());
        assert_eq!(put_back(&aside).unwrap(), Undone::Now);
        assert_eq!(found(&run_dir), (vec!["old".to_owned(); 2], false, 2));
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn who_only_looks_at_what_is_restored_is_let_be() {
        let (run_dir, aside) = prepared("looked-at");
        let start = |word: &str| {
            let mut process = std::process::Command::new("sh");
            process.args(["-c", "read line", word]).stdin(std::process::Stdio::piped());
            process.spawn().unwrap()
        };
        let east = aside.join("east");
        let mut looks = start(&east.display().to_string());
        let mut writes = start(&format!("{DATA}{}", east.display()));
        // In the middle of an exec a process has no arguments at all.
        while users(|word| word.ends_with(&east.display().to_string())).len() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(put_back(&aside).unwrap(), Undone::Now);
        assert!(writes.try_wait().unwrap().is_some() && looks.try_wait().unwrap().is_none());
        looks.kill().unwrap();
        looks.wait().unwrap();
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn a_restore_that_was_only_begun_is_removed() {
        let (run_dir, aside) = prepared("begun");
        fs::remove_file(aside.join("east").join(MARK)).unwrap();
        assert_eq!(put_back(&aside).unwrap(), Undone::Now);
        assert_eq!(found(&run_dir), (vec!["old".to_owned(); 2], false, 2));
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn nothing_is_exchanged_under_the_feet_of_a_member_that_runs() {
        let (run_dir, aside) = prepared("used");
        let flag = format!("--data-dir={}", folder(&run_dir).join("east").display());
        let mut member = std::process::Command::new("sh");
        member.args(["-c", "read line", flag.as_str()]).stdin(std::process::Stdio::piped());
        let mut member = member.spawn().unwrap();
        // In the middle of an exec a process has no arguments at all.
        while users(|word| word == flag).is_empty() {
            std::thread::yield_now();
        }
        let refused = exchange(&aside, "east").unwrap_err().to_string();
        assert!(refused.ends_with(&format!("process {} runs on it", member.id())), "{refused}");
        assert_eq!(found(&run_dir).0, ["old", "old"]);
        member.kill().unwrap();
        member.wait().unwrap();
        exchange(&aside, "east").unwrap();
        assert_eq!(found(&run_dir).0, ["new", "old"]);
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
