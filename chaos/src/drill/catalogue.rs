//! The drills that come with the program, found by name; others by their file.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;

use super::{Drill, Finding};

/// Embedded, so that a name works wherever the program is.
pub(crate) const DRILLS: [(&str, &str); 49] = [
    ("region-loss", include_str!("../../drills/region-loss.yaml")),
    ("cell-loss", include_str!("../../drills/cell-loss.yaml")),
    ("postgres-kill", include_str!("../../drills/postgres-kill.yaml")),
    ("switchover", include_str!("../../drills/switchover.yaml")),
    ("evacuate", include_str!("../../drills/evacuate.yaml")),
    ("weak-loss", include_str!("../../drills/weak-loss.yaml")),
    ("freeze-site", include_str!("../../drills/freeze-site.yaml")),
    ("freeze-postgres", include_str!("../../drills/freeze-postgres.yaml")),
    ("freeze-agent", include_str!("../../drills/freeze-agent.yaml")),
    ("home-and-voter-loss", include_str!("../../drills/home-and-voter-loss.yaml")),
    ("last-standby-lags", include_str!("../../drills/last-standby-lags.yaml")),
    ("two-regions-die", include_str!("../../drills/two-regions-die.yaml")),
    ("two-regions-loss", include_str!("../../drills/two-regions-loss.yaml")),
    ("etcd-leader-kill", include_str!("../../drills/etcd-leader-kill.yaml")),
    ("etcd-loss", include_str!("../../drills/etcd-loss.yaml")),
    ("failover-during-failover", include_str!("../../drills/failover-during-failover.yaml")),
    ("etcd-leader-freeze", include_str!("../../drills/etcd-leader-freeze.yaml")),
    ("etcd-leader-isolated", include_str!("../../drills/etcd-leader-isolated.yaml")),
    ("etcd-majority-loss", include_str!("../../drills/etcd-majority-loss.yaml")),
    ("etcd-majority-freeze", include_str!("../../drills/etcd-majority-freeze.yaml")),
    ("etcd-wipe", include_str!("../../drills/etcd-wipe.yaml")),
    ("control-plane-loss", include_str!("../../drills/control-plane-loss.yaml")),
    ("observer-cut", include_str!("../../drills/observer-cut.yaml")),
    ("observer-alone", include_str!("../../drills/observer-alone.yaml")),
    ("router-crash", include_str!("../../drills/router-crash.yaml")),
    ("router-crash-retried", include_str!("../../drills/router-crash-retried.yaml")),
    ("router-upgrade", include_str!("../../drills/router-upgrade.yaml")),
    ("stale-router", include_str!("../../drills/stale-router.yaml")),
    ("slow-site", include_str!("../../drills/slow-site.yaml")),
    ("gray-site", include_str!("../../drills/gray-site.yaml")),
    ("flapping", include_str!("../../drills/flapping.yaml")),
    ("flapping-line", include_str!("../../drills/flapping-line.yaml")),
    ("region-silence", include_str!("../../drills/region-silence.yaml")),
    ("region-partition", include_str!("../../drills/region-partition.yaml")),
    ("region-mute", include_str!("../../drills/region-mute.yaml")),
    ("etcd-cut", include_str!("../../drills/etcd-cut.yaml")),
    ("connections-cut", include_str!("../../drills/connections-cut.yaml")),
    ("slow-line", include_str!("../../drills/slow-line.yaml")),
    ("slow-disk", include_str!("../../drills/slow-disk.yaml")),
    ("site-and-leader-loss", include_str!("../../drills/site-and-leader-loss.yaml")),
    ("disk-full", include_str!("../../drills/disk-full.yaml")),
    ("thundering-herd", include_str!("../../drills/thundering-herd.yaml")),
    ("commit-ack-cut", include_str!("../../drills/commit-ack-cut.yaml")),
    ("clock-jump", include_str!("../../drills/clock-jump.yaml")),
    ("restart-each", include_str!("../../drills/restart-each.yaml")),
    ("failover-unpublished", include_str!("../../drills/failover-unpublished.yaml")),
    ("connects-one-way", include_str!("../../drills/connects-one-way.yaml")),
    ("restore-from-backup", include_str!("../../drills/restore-from-backup.yaml")),
    ("soak", include_str!("../../drills/soak.yaml")),
];

/// A drill file that was found.
pub(crate) struct Found {
    /// What the file was called, for findings.
    pub(crate) place: String,
    pub(crate) drill: Result<Drill, Vec<Finding>>,
}

/// Returns the drills somebody asked for; `None` where there is no such name and no such file.
pub(crate) fn find(asked: &str) -> anyhow::Result<Option<Vec<Found>>> {
    if asked == "all" {
        let every = DRILLS.iter().map(|(name, text)| found(name, name, text));
        return Ok(Some(every.filter(|found| !found.is_apart()).collect()));
    }
    if let Some((name, text)) = DRILLS.iter().find(|(name, _)| *name == asked) {
        return Ok(Some(vec![found(name, name, text)]));
    }
    let path = Path::new(asked);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {asked}"))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
    Ok(Some(vec![found(asked, &name, &text)]))
}

/// Returns those with a tag, and long ones too; `None` where there are none.
pub(crate) fn tagged(tag: &str) -> Option<Vec<Found>> {
    let every = DRILLS.iter().map(|(name, text)| found(name, name, text));
    let tagged: Vec<Found> = every.filter(|found| found.has_tag(tag)).collect();
    (!tagged.is_empty()).then_some(tagged)
}

/// Returns all tags that drills have which come along.
pub(crate) fn tags() -> BTreeSet<String> {
    let every = DRILLS.iter().filter_map(|(name, text)| Drill::parse(name, text).ok());
    every.flat_map(|drill| drill.tags).collect()
}

impl Found {
    /// Whether it takes so long that it has to be asked for by name.
    fn is_apart(&self) -> bool {
        self.has_tag("long")
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.drill.as_ref().is_ok_and(|drill| drill.has_tag(tag))
    }
}

fn found(place: &str, name: &str, text: &str) -> Found {
    Found { place: place.to_owned(), drill: Drill::parse(name, text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;

    #[test]
    fn every_drill_that_comes_along_is_right() {
        for (name, text) in DRILLS {
            assert_eq!(Drill::parse(name, text).map(|drill| drill.name), Ok(name.to_owned()));
        }
    }

    #[test]
    fn every_drill_that_comes_along_asks_the_cells_themselves() {
        for (name, text) in DRILLS {
            let checks = Drill::parse(name, text).unwrap().checks;
            for check in [Check::Ledger, Check::Convergence, Check::LogPatterns] {
                assert!(checks.contains(&check), "{name}: {}", check.name());
            }
        }
    }

    #[test]
    fn what_takes_long_has_to_be_asked_for_by_name() {
        let all = find("all").unwrap().unwrap();
        let asked = |name| find(name).unwrap().unwrap().len();
        let apart = ["soak", "etcd-loss", "flapping", "flapping-line"];
        assert_eq!(all.len(), DRILLS.len() - apart.len());
        assert!(all.iter().all(|found| !apart.contains(&found.place.as_str())));
        assert_eq!((asked("soak"), asked("etcd-loss")), (1, 1));
    }

    #[test]
    fn those_of_a_tag_may_be_long() {
        let router: Vec<String> =
            tagged("router").unwrap().into_iter().map(|found| found.place).collect();
        let expected = [
            "router-crash",
            "router-crash-retried",
            "router-upgrade",
            "stale-router",
            "restart-each",
        ];
        assert_eq!(router, expected);
        assert!(tagged("weekly").unwrap().iter().any(Found::is_apart));
        assert!(tagged("week").is_none() && tags().contains("weekly"));
    }
}
