//! The lines of a region that a drill does something to, and what.
//!
//! ```yaml
//! target: {region: auto, towards: both, others: all, only: postgres}
//! ```

use std::fmt;
use std::time::Duration;

use topology::RegionId;
use topology::address::Port;

use super::flap::Flap;
use super::yaml::{Need, Reader, Section};

/// The keys of a target that say which lines.
pub(super) const TARGET: [&str; 4] = ["region", "towards", "others", "only"];
/// Longer than any line on earth, and still within every patience there is.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Which lines of a region; by default all, both ways, for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) towards: Towards,
    pub(crate) others: Others,
    pub(crate) only: Only,
}

/// In which direction, as the region sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Towards {
    #[default]
    Both,
    Out,
    In,
}

/// To whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Others {
    #[default]
    All,
    /// Users and routers.
    Edge,
    Regions,
    One(RegionId),
}

/// For what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Only {
    #[default]
    Everything,
    /// What databases send each other, and who asks them.
    Postgres,
    Etcd,
}

/// What is done to the packets on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Partition,
    Connects,
    Latency {
        delay: Duration,
        jitter: Duration,
    },
    Loss {
        percent: u8,
    },
    Rate {
        kbit: u64,
    },
    CutEstablished,
    /// Cut and mended, again and again.
    Flap(Flap),
}

impl Effect {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Partition => "net.partition",
            Self::Connects => "net.one-way-connect",
            Self::Latency { .. } => "net.latency",
            Self::Loss { .. } => "net.loss",
            Self::Rate { .. } => "net.rate",
            Self::CutEstablished => "net.cut-established",
            Self::Flap(_) => "net.flap",
        }
    }

    /// Reads what a kind says besides its target; `None` for a kind that is about something else.
    pub(super) fn read(reader: &mut Reader, provider: &Section<'_>, kind: &str) -> Option<Self> {
        match kind {
            "net.partition" => Some(Self::Partition),
            "net.one-way-connect" => Some(Self::Connects),
            "net.cut-established" => Some(Self::CutEstablished),
            "net.flap" => Flap::read(reader, provider).map(Self::Flap),
            "net.latency" => {
                let keys = ["delay", "jitter"];
                let item = reader.section(provider, "arguments", Need::Must, &keys)?;
                let delay = reader.duration(&item, "delay", Need::Must)?;
                let jitter = reader.duration(&item, "jitter", Need::May).unwrap_or_default();
                if delay.is_zero() || delay > DELAY_MAX {
                    reader.report(&item, "delay", "expected more than nothing and at most 10s");
                }
                if jitter > delay {
                    reader.report(&item, "jitter", "expected at most the delay");
                }
                Some(Self::Latency { delay, jitter })
            }
            "net.loss" => {
                let item = reader.section(provider, "arguments", Need::Must, &["share"])?;
                let expected = "a share from 1% to 90%";
                let percent = reader.value(&item, "share", Need::Must, expected, |text| {
                    text.strip_suffix('%')?.parse().ok().filter(|share| (1..=90).contains(share))
                });
                Some(Self::Loss { percent: percent? })
            }
            "net.rate" => {
                let item = reader.section(provider, "arguments", Need::Must, &["rate"])?;
                let expected = "a rate such as 500kbit or 10mbit";
                let kbit = reader.value(&item, "rate", Need::Must, expected, rate);
                Some(Self::Rate { kbit: kbit? })
            }
            _ => None,
        }
    }
}

impl Lines {
    pub(super) fn read(reader: &mut Reader, target: &Section<'_>) -> Self {
        let towards = [("both", Towards::Both), ("out", Towards::Out), ("in", Towards::In)];
        let towards = reader.value(target, "towards", Need::May, "both, out or in", |text| {
            towards.iter().find(|(word, _)| *word == text).map(|(_, towards)| *towards)
        });
        let expected = "all, edge, regions or a region's id";
        let others = reader.value(target, "others", Need::May, expected, |text| match text {
            "all" => Some(Others::All),
            "edge" => Some(Others::Edge),
            "regions" => Some(Others::Regions),
            region => region.parse().ok().map(Others::One),
        });
        let only = [("postgres", Only::Postgres), ("etcd", Only::Etcd)];
        let only = reader.value(target, "only", Need::May, "postgres or etcd", |text| {
            only.iter().find(|(word, _)| *word == text).map(|(_, only)| *only)
        });
        Self {
            towards: towards.unwrap_or_default(),
            others: others.unwrap_or_default(),
            only: only.unwrap_or_default(),
        }
    }
}

impl Only {
    /// Returns the ports it is about; none is all.
    pub(crate) fn ports(self) -> Vec<u16> {
        match self {
            Self::Everything => Vec::new(),
            Self::Postgres => vec![Port::Postgres.number()],
            Self::Etcd => vec![Port::EtcdClient.number(), Port::EtcdPeer.number()],
        }
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.towards {
            Towards::Both => "to and from ",
            Towards::Out => "to ",
            Towards::In => "from ",
        })?;
        match &self.others {
            Others::All => f.write_str("all others")?,
            Others::Edge => f.write_str("the edge")?,
            Others::Regions => f.write_str("the other regions")?,
            Others::One(region) => region.fmt(f)?,
        }
        f.write_str(match self.only {
            Only::Everything => "",
            Only::Postgres => ", PostgreSQL only",
            Only::Etcd => ", etcd only",
        })
    }
}

fn rate(text: &str) -> Option<u64> {
    let units = [("kbit", 1), ("mbit", 1000)];
    let kbit: u64 = units.into_iter().find_map(|(unit, times)| {
        text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(times)
    })?;
    (1..=100_000_000).contains(&kbit).then_some(kbit)
}
