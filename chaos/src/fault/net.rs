//! What is done to the lines between a region and the others, by policies of the emulated WAN.
//!
//! The lines from this machine are left alone: a region that nobody else reaches is still looked at.

mod connects;
mod cut_established;
mod flap;
mod latency;
mod loss;
mod partition;
mod probe;
mod rate;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use topology::RegionId;
use topology::spec::End;
use topology::wire::wan::{Cut, InForce, Policy, Way};

use super::{Bench, Injection};
use crate::drill::{Effect, Lines, Others, Towards};
use crate::journal::Step;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, label_within};
use crate::wan;
use probe::Probe;

pub(super) async fn inject(
    bench: &Bench<'_>,
    region: &RegionId,
    lines: &Lines,
    effect: &Effect,
    seed: u64,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let net = Net { bench, region, lines };
    match effect {
        Effect::Partition => partition::inject(&net, safeguard, injection).await,
        Effect::Connects => connects::inject(&net, safeguard, injection).await,
        Effect::Latency { delay, jitter } => {
            latency::inject(&net, *delay, *jitter, safeguard, injection).await
        }
        Effect::Loss { percent } => loss::inject(&net, *percent, safeguard, injection).await,
        Effect::Rate { kbit } => rate::inject(&net, *kbit, safeguard, injection).await,
        Effect::CutEstablished => cut_established::inject(&net, injection).await,
        Effect::Flap(flap) => flap::inject(&net, *flap, seed, safeguard, injection).await,
    }
}

/// Cuts a region off from everybody, without waiting for a proof: what follows has one.
pub(super) fn silence(
    bench: &Bench<'_>,
    region: &RegionId,
    safeguard: &Safeguard,
) -> anyhow::Result<()> {
    let net = Net { bench, region, lines: &Lines::default() };
    net.set(&Policy { cut: Some(Cut::All), ..Policy::default() }, safeguard).map(|_| ())
}

/// A region, and which of its lines.
struct Net<'a> {
    bench: &'a Bench<'a>,
    region: &'a RegionId,
    lines: &'a Lines,
}

impl Net<'_> {
    fn here(&self) -> End {
        End::Region(self.region.clone())
    }

    /// Returns the other ends of the lines, and the ends that are not concerned.
    fn others(&self) -> (Vec<End>, Vec<End>) {
        let regions = self.bench.platform.spec.regions.iter();
        let regions = regions.map(|region| End::Region(region.id.clone()));
        let ends = std::iter::once(End::Edge).chain(regions).filter(|end| *end != self.here());
        ends.partition(|end| match (&self.lines.others, end) {
            (Others::All, _) | (Others::Edge, End::Edge) | (Others::Regions, End::Region(_)) => {
                true
            }
            (Others::One(region), End::Region(other)) => region == other,
            (Others::Edge, End::Region(_)) | (Others::Regions | Others::One(_), End::Edge) => false,
        })
    }

    /// Puts a policy in force; its undo is in the journal before.
    fn set(&self, effect: &Policy, safeguard: &Safeguard) -> anyhow::Result<String> {
        self.set_for(self.bench.action.ttl, effect, safeguard).map(|(id, _)| id)
    }

    /// The same, until this is over at the latest. Returns what lifts it again, too.
    fn set_for(
        &self,
        ttl: Duration,
        effect: &Policy,
        safeguard: &Safeguard,
    ) -> anyhow::Result<(String, Step)> {
        let Bench { run, action, .. } = self.bench;
        let id = label_within(run, &action.name, safeguard.upcoming());
        let socket = self.socket();
        let lift = Undo::Lift { socket: socket.clone(), id: id.clone() };
        let step = safeguard.intend(lift, ttl)?;
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let policy = Policy {
            id: id.clone(),
            ways: self.ways(),
            ports: self.lines.only.ports(),
            ttl_ms,
            ..effect.clone()
        };
        wan::set(&socket, policy)?;
        Ok((id, step))
    }

    /// Returns what a policy has done so far; fails where it is in force no more.
    fn in_force(&self, id: &str) -> anyhow::Result<InForce> {
        let mut all = wan::policies(&self.socket())?.into_iter();
        let found = all.find(|force| force.policy.id == id);
        found.with_context(|| format!("find the policy {id} in force: it was lifted"))
    }

    fn socket(&self) -> PathBuf {
        wan::socket(&self.bench.platform.run_dir)
    }

    /// Returns whether, and how soon, each of these connects.
    async fn probe(&self, pairs: &[(End, End)]) -> anyhow::Result<Vec<Probe>> {
        let (platform, clock) = (self.bench.platform, self.bench.clock);
        probe::all(&platform.spec, &platform.fleet()?, clock, self.lines.only, pairs).await
    }

    /// Returns what it is, for people.
    fn told(&self) -> String {
        format!("{} {}", self.region, self.lines)
    }

    fn ways(&self) -> Vec<Way> {
        let (others, _) = self.others();
        let here = Some(self.region.to_string());
        let out = |other: &End| Way { from: here.clone(), to: Some(other.to_string()) };
        let back = |other: &End| Way { from: Some(other.to_string()), to: here.clone() };
        let (is_out, is_back) = match self.lines.towards {
            Towards::Both => (true, true),
            Towards::Out => (true, false),
            Towards::In => (false, true),
        };
        let out = others.iter().filter(|_| is_out).map(out);
        out.chain(others.iter().filter(|_| is_back).map(back)).collect()
    }
}
