//! The kernel's packet filter (nftables) in the network of one end: what drills do to the connections of
//! one process, which no policy of the emulated WAN can tell from another's.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use runtime::program;
use serde::{Deserialize, Serialize};
use topology::spec::End;
use topology::wire::fleet::Fleet;

use crate::undo::{Undone, labels_of};

const MISSING: &str = "nft is not installed; apt-get install nftables";

/// A table of one drill: rules that come and go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    table: String,
    /// Where the namespace of its network is; none for the one this program is in.
    namespace: Option<PathBuf>,
}

impl Filter {
    /// Returns a table that is called so, in the network of an end. Where there is no packet filter at
    /// all, that is said now, before anything is written down.
    pub(crate) fn new(table: String, fleet: &Fleet, end: &End) -> anyhow::Result<Self> {
        if let Some(missing) = missing() {
            bail!(missing);
        }
        Ok(Self { table, namespace: fleet.namespaces.get(&end.to_string()).map(PathBuf::from) })
    }

    /// Puts chains in force, all at once, in place of those before.
    pub(crate) fn set(&self, chains: &str) -> anyhow::Result<()> {
        let Self { table, namespace } = self;
        let script = format!(
            "table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{chains}}}\n"
        );
        let set = nft(namespace.as_deref(), &["-f", "-"], &script);
        set.map(|_| ()).with_context(|| format!("set the packet filter {table}"))
    }

    /// Returns how many packets its rules have counted.
    pub(crate) fn counted(&self) -> anyhow::Result<u64> {
        let words = ["list", "table", "inet", &self.table];
        let text = nft(self.namespace.as_deref(), &words, "").context("list a packet filter")?;
        Ok(packets(&text))
    }

    /// Takes it away. A network that is gone has taken its filters along, and without `nft` there never
    /// was one.
    pub(crate) fn remove(&self) -> anyhow::Result<Undone> {
        let Self { table, namespace } = self;
        let is_gone = namespace.as_ref().is_some_and(|path| !path.exists());
        if is_gone || missing().is_some() || !self.is_there()? {
            return Ok(Undone::Before);
        }
        let removed = nft(namespace.as_deref(), &["delete", "table", "inet", table], "");
        removed.map(|_| Undone::Now).with_context(|| format!("remove the packet filter {table}"))
    }

    pub(crate) fn told(&self) -> String {
        format!("the packet filter {}", self.table)
    }

    fn is_there(&self) -> anyhow::Result<bool> {
        Ok(tables(self.namespace.as_deref())?.contains(&self.table))
    }
}

/// Returns the tables that drills on a platform have left, in its networks and in this one, and why it
/// is not known of some network.
pub(crate) fn of_drills(
    run_dir: &Path,
    fleet: Option<&Fleet>,
) -> (Vec<Filter>, Vec<anyhow::Error>) {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    if missing().is_some() {
        return (found, unknown);
    }
    let prefix = labels_of(run_dir);
    let others = fleet.into_iter().flat_map(|fleet| fleet.namespaces.values());
    let networks = std::iter::once(None).chain(others.map(|path| Some(PathBuf::from(path))));
    for namespace in networks {
        if namespace.as_ref().is_some_and(|path| !path.exists()) {
            continue;
        }
        match tables(namespace.as_deref()) {
            Ok(tables) => {
                let own = tables.into_iter().filter(|table| table.starts_with(&prefix));
                found.extend(own.map(|table| Filter { table, namespace: namespace.clone() }));
            }
            Err(err) if cannot_have(&format!("{err:#}")) => {}
            Err(err) => unknown.push(err),
        }
    }
    (found, unknown)
}

/// Whoever may not list them, or whose kernel has none, has made none.
fn cannot_have(why: &str) -> bool {
    ["not permitted", "not supported"].iter().any(|words| why.contains(words))
}

/// Says what there is to be installed. What keeps one that is installed from running, it is asked later
/// for itself.
pub(crate) fn missing() -> Option<&'static str> {
    let why = nft(None, &["--version"], "").err()?;
    let why = why.downcast_ref::<io::Error>()?;
    (why.kind() == ErrorKind::NotFound).then_some(MISSING)
}

fn tables(namespace: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let text = nft(namespace, &["list", "tables"], "").context("list the packet filters")?;
    let names = text.lines().filter_map(|line| line.strip_prefix("table inet "));
    Ok(names.map(|name| name.trim().to_owned()).collect())
}

/// Returns what starts a program in a network.
pub(crate) fn command(namespace: Option<&Path>, program: &str) -> Command {
    let Some(path) = namespace else { return Command::new(program) };
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path.display())).args(["--", program]);
    command
}

/// Each rule that counts says `counter packets N bytes M`.
fn packets(text: &str) -> u64 {
    let after = text.split("counter packets ").skip(1);
    after.filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

fn nft(namespace: Option<&Path>, words: &[&str], script: &str) -> anyhow::Result<String> {
    let mut command = command(namespace, "nft");
    command.args(words);
    program::run(command, script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_rules_of_a_table_have_counted_is_added_up() {
        let text = "table inet x {\n\tchain out {\n\t\ttcp dport 1 counter packets 7 bytes 420 drop\n\
                    \t\ttcp dport 2 counter packets 30 bytes 1800 drop\n\t}\n}\n";
        assert_eq!((packets(text), packets("table inet x {\n}\n")), (37, 0));
    }
}
