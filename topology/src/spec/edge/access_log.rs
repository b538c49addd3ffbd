//! Which requests each router writes down, and where.

use std::str::FromStr;
use std::time::Duration;

use crate::spec::Problem;
use crate::spec::reader::{Reader, Section};

/// Rarer than this is the same as only what failed or was slow.
const ONE_IN_MAX: u32 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub to: Destination,
    /// Of so many requests one is written down; those that failed or were slow always are.
    pub one_in: u32,
    /// What is slow.
    pub slow: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `logs/access-N.jsonl` in the run directory of router N, with its predecessors.
    File,
    /// Among the other logs of the process.
    Stdout,
    Nowhere,
}

impl Default for AccessLog {
    /// Enough to see what a usual request looks like, and every unusual one.
    fn default() -> Self {
        Self { to: Destination::File, one_in: 100, slow: Duration::from_secs(1) }
    }
}

impl FromStr for Destination {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "file" => Ok(Self::File),
            "stdout" => Ok(Self::Stdout),
            "nowhere" => Ok(Self::Nowhere),
            _ => Err(()),
        }
    }
}

impl Reader {
    /// May be left out, and so may each part of it.
    pub(super) fn access_log(&mut self, edge: &Section<'_>) -> Option<AccessLog> {
        let mut log = AccessLog::default();
        let Some(node) = edge.map.get_node("access-log") else { return Some(log) };
        let keys = ["to", "one-in", "slow"];
        let section = self.section(node, edge.place_of("access-log"), &keys)?;
        let has = |key: &str| section.map.get_node(key).is_some();
        if has("to") {
            log.to = self.parsed(&section, "to", "file, stdout or nowhere")?;
        }
        if has("one-in") {
            log.one_in = self.parsed(&section, "one-in", "a whole number")?;
            if !(1..=ONE_IN_MAX).contains(&log.one_in) {
                let found = log.one_in.to_string();
                self.report(&section, "one-in", Problem::OutOfRange(found, "1 to 1000000"));
            }
        }
        if has("slow") {
            log.slow = self.duration(&section, "slow")?;
        }
        Some(log)
    }
}

#[cfg(test)]
mod tests {
    use crate::Spec;

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let spec = Spec::parse(&with("")).unwrap();
        assert_eq!(spec.edge.access_log, AccessLog::default());
        let spec = Spec::parse(&with(", access-log: {to: stdout}")).unwrap();
        let expected = AccessLog { to: Destination::Stdout, ..AccessLog::default() };
        assert_eq!(spec.edge.access_log, expected);
    }

    #[test]
    fn every_mistake_is_named() {
        for (section, expected) in [
            ("{to: syslog}", "to: expected file, stdout or nowhere, found \"syslog\""),
            ("{one-in: 0}", "one-in: 0 is out of range: 1 to 1000000"),
            ("{slow: 1}", "slow: expected a duration such as 500ms, 2s or 24h, found \"1\""),
            ("{sample: 1}", "sample: unknown key; expected one of to, one-in, slow"),
        ] {
            let findings = Spec::parse(&with(&format!(", access-log: {section}"))).unwrap_err();
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            assert_eq!(lines, [format!("line 8: edge.access-log.{expected}")]);
        }
    }

    fn with(more: &str) -> String {
        format!(
            "version: 1
regions:
  - {{id: east, name: 华东, network: 127.1.0.0/16}}
  - {{id: north, name: 华北, network: 127.2.0.0/16}}
  - {{id: south, name: 华南, network: 127.3.0.0/16}}
cells:
  - {{id: c1, weight: 1, home: east, standbys: [north, south]}}
edge: {{listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 2{more}}}
lease: {{renew: 500ms, right: 1600ms, patience: 2s}}
messages: weak
"
        )
    }
}
