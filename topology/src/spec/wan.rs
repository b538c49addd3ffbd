//! The emulated WAN: how far apart the regions are, and the edge from them, on one machine.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::reader::{Reader, Section};
use super::{Edge, Network, Problem, Region};
use crate::{InvalidId, RegionId};

/// What no region may be called, where there is a WAN.
const EDGE: &str = "edge";
/// Loopback networks alone are safe to take: no machine routes them elsewhere.
const LOOPBACK: u8 = 127;
const TWO_ENDS: &str = "two ends, such as [edge, east]";
/// Light goes around the world in 134 ms.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// One end of a line of the WAN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Where users and routers are.
    Edge,
    Region(RegionId),
}

/// One direction between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// One way.
    pub delay: Duration,
    /// A packet takes that much more or less.
    pub jitter: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wan {
    /// Where routers and users are.
    pub edge: Network,
    /// From one end to another: every two of them, both ways.
    pub lines: BTreeMap<(End, End), Line>,
}

impl Wan {
    /// Where the machine itself looks in from, over lines of no length that nothing is done to.
    pub const MACHINE: Network = Network([LOOPBACK, 254]);

    /// What a packet takes between the two regions that are furthest apart, there and back.
    pub(super) fn round_trip(&self) -> Duration {
        let regions = |(from, to): &(End, End)| *from != End::Edge && *to != End::Edge;
        let there_and_back = |((from, to), there): (&(End, End), &Line)| {
            let back = self.lines.get(&(to.clone(), from.clone()))?;
            Some(there.delay + there.jitter + back.delay + back.jitter)
        };
        let ways = self.lines.iter().filter(|(ends, _)| regions(ends));
        ways.filter_map(there_and_back).max().unwrap_or_default()
    }
}

impl Edge {
    /// Moves every address of the edge into its network, with the port it has.
    pub(super) fn moved_to(mut self, network: Network) -> Self {
        let [a, b] = network.prefix();
        let host = std::net::Ipv4Addr::new(a, b, 0, 1);
        let tls = self.tls.as_mut().map(|tls| &mut tls.listen);
        for address in [Some(&mut self.listen), Some(&mut self.admin), tls].into_iter().flatten() {
            address.set_ip(host.into());
        }
        self
    }
}

impl FromStr for End {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == EDGE { Ok(Self::Edge) } else { text.parse().map(Self::Region) }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str(EDGE),
            Self::Region(region) => region.fmt(f),
        }
    }
}

impl Reader {
    /// Reads the section, which may be left out: then there is no WAN to emulate.
    pub(super) fn wan(&mut self, root: &Section<'_>, regions: &[Region]) -> Option<Wan> {
        let node = root.map.get_node("wan")?;
        let wan = self.section(node, "wan".to_owned(), &["edge", "lines"])?;
        let edge = self.network(&wan, "edge");
        self.networks(root, &wan, edge, regions);
        let mut lines = BTreeMap::new();
        let found = self.findings.len();
        for item in self.list(&wan, "lines", &["between", "from", "to", "delay", "jitter"]) {
            let ways = self.ways(&item, regions);
            let delay = self.duration(&item, "delay");
            let jitter = self.duration(&item, "jitter");
            let (Some(delay), Some(jitter)) = (delay, jitter) else { continue };
            if delay > DELAY_MAX {
                let problem = Problem::OutOfRange(format!("{delay:?}"), "at most 1 second");
                self.report(&item, "delay", problem);
            }
            if jitter > delay {
                let problem = Problem::OutOfRange(format!("{jitter:?}"), "at most the delay");
                self.report(&item, "jitter", problem);
            }
            for (from, to) in ways {
                let name = format!("the way from {from} to {to}");
                if lines.insert((from, to), Line { delay, jitter }).is_some() {
                    self.report(&item, "delay", Problem::Repeated(name));
                }
            }
        }
        // A line that cannot be read is not missing as well.
        if self.findings.len() == found {
            for (from, to) in every_way(regions) {
                if lines.contains_key(&(from.clone(), to.clone())) {
                    continue;
                }
                self.report(&wan, "lines", Problem::NoLine(from.to_string(), to.to_string()));
            }
        }
        Some(Wan { edge: edge?, lines })
    }

    /// Every network is a loopback network of its own.
    fn networks(
        &mut self,
        root: &Section<'_>,
        wan: &Section<'_>,
        edge: Option<Network>,
        regions: &[Region],
    ) {
        let loopback =
            |network: Network| network.prefix()[0] == LOOPBACK && network.prefix()[1] > 0;
        for region in regions {
            if !loopback(region.network) || region.network == Wan::MACHINE {
                let network = region.network.to_string();
                self.report(root, "regions", Problem::NotEmulated(network));
            }
            if region.id.as_str() == EDGE {
                self.report(root, "regions", Problem::Repeated("the name edge".to_owned()));
            }
        }
        let Some(edge) = edge else { return };
        if !loopback(edge) || edge == Wan::MACHINE {
            self.report(wan, "edge", Problem::NotEmulated(edge.to_string()));
        }
        if let Some(region) = regions.iter().find(|region| region.network == edge) {
            let problem = Problem::NetworkTaken(edge.to_string(), region.id.clone());
            self.report(wan, "edge", problem);
        }
    }

    /// `between: [a, b]` is both ways, `from: a, to: b` is one.
    fn ways(&mut self, item: &Section<'_>, regions: &[Region]) -> Vec<(End, End)> {
        let both = item.map.get_node("between").is_some();
        let ends = if both {
            let Some(ends) = self.texts(item, "between", TWO_ENDS) else { return Vec::new() };
            let [one, other] = ends.as_slice() else {
                let found = format!("{} of them", ends.len());
                let problem = Problem::WrongType { expected: TWO_ENDS, found };
                self.report(item, "between", problem);
                return Vec::new();
            };
            [("between", one.clone()), ("between", other.clone())]
        } else {
            let from = self.text(item, "from").map(|node| node.as_str().to_owned());
            let to = self.text(item, "to").map(|node| node.as_str().to_owned());
            let (Some(from), Some(to)) = (from, to) else { return Vec::new() };
            [("from", from), ("to", to)]
        };
        let [one, other] = ends.map(|(key, text)| self.end(item, key, &text, regions));
        let (Some(one), Some(other)) = (one, other) else { return Vec::new() };
        if one == other {
            let key = if both { "between" } else { "to" };
            self.report(item, key, Problem::Repeated(one.to_string()));
            return Vec::new();
        }
        let back = both.then(|| (other.clone(), one.clone()));
        std::iter::once((one, other)).chain(back).collect()
    }

    fn end(
        &mut self,
        item: &Section<'_>,
        key: &str,
        text: &str,
        regions: &[Region],
    ) -> Option<End> {
        let end = match text.parse() {
            Ok(end) => end,
            Err(err) => {
                self.report(item, key, Problem::InvalidId(err));
                return None;
            }
        };
        if let End::Region(region) = &end
            && !regions.iter().any(|listed| listed.id == *region)
        {
            self.report(item, key, Problem::UnknownRegion(region.clone()));
            return None;
        }
        Some(end)
    }
}

/// Returns every two different ends, both ways.
fn every_way(regions: &[Region]) -> Vec<(End, End)> {
    let regions = regions.iter().map(|region| End::Region(region.id.clone()));
    let ends: Vec<End> = std::iter::once(End::Edge).chain(regions).collect();
    let pairs = ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to)));
    pairs.filter(|(from, to)| from != to).map(|(from, to)| (from.clone(), to.clone())).collect()
}

#[cfg(test)]
mod tests;
