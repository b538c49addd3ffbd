//! What is done to packets besides the distance, by whom it was asked for, and until when.

use std::collections::BTreeMap;
use std::time::Duration;

use topology::spec::End;
use topology::wire::wan as wire;

use super::{EndId, Packet};

/// A person or a drill has a few; more is somebody who does not lift them.
const POLICIES_MAX: usize = 64;
/// Nobody waits longer for a forgotten one; the same as of drills.
const TTL_MAX: Duration = Duration::from_mins(15);
const DELAY_MAX_MS: u64 = 10_000;
const ID_MAX: usize = 100;
const LISTED_MAX: usize = 64;
/// Less is not a way but a cut; more than this one is not in the way of anything.
const RATE_KBIT: std::ops::RangeInclusive<u64> = 1..=100_000_000;

/// A policy as meant. Cannot be wrong: it only comes out of [`Policy::read`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    ways: Vec<(Option<EndId>, Option<EndId>)>,
    ttl: Duration,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    written: wire::Policy,
}

impl Policy {
    /// Returns the policy, or everything that is wrong with it.
    pub(crate) fn read(written: wire::Policy, ends: &[End]) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        must(is_id(&written.id), "id: expected 1 to 100 of a-z, 0-9, -, _, . and @");
        let listed = 1..=LISTED_MAX;
        must(listed.contains(&written.ways.len()), "ways: expected 1 to 64 of them");
        must(written.ports.len() <= LISTED_MAX, "ports: expected at most 64");
        let ttl = Duration::from_millis(written.ttl_ms);
        let is_ttl = !ttl.is_zero() && ttl <= TTL_MAX;
        must(is_ttl, "ttl-ms: expected 1 to 900000, which is 15 minutes");
        must(written.delay_ms <= DELAY_MAX_MS, "delay-ms: expected at most 10000");
        let is_jitter = written.jitter_ms <= written.delay_ms;
        must(is_jitter, "jitter-ms: expected at most delay-ms");
        let shares = [
            ("loss", written.loss),
            ("duplicate", written.duplicate),
            ("reorder", written.reorder),
        ];
        for (name, share) in shares {
            must((0.0..=1.0).contains(&share), &format!("{name}: expected a share from 0 to 1"));
        }
        let rate = written.rate_kbit;
        let is_rate = rate.is_none_or(|rate| RATE_KBIT.contains(&rate));
        must(is_rate, "rate-kbit: expected 1 to 100000000");
        let does = written.cut.is_some()
            || rate.is_some()
            || written.delay_ms > 0
            || shares.iter().any(|(_, share)| *share > 0.0);
        must(does, "it does nothing: say cut, delay-ms, loss, duplicate, reorder or rate-kbit");
        let mut ways = Vec::new();
        for (index, way) in written.ways.iter().take(LISTED_MAX).enumerate() {
            let mut end = |name: &str, text: &Option<String>| {
                let text = text.as_ref()?;
                let end = ends.iter().position(|end| end.to_string() == *text);
                if end.is_none() {
                    let known: Vec<String> = ends.iter().map(ToString::to_string).collect();
                    let known = known.join(", ");
                    problems.push(format!("ways[{index}].{name}: expected one of {known}"));
                }
                end
            };
            ways.push((end("from", &way.from), end("to", &way.to)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let delay = Duration::from_millis(written.delay_ms);
        let jitter = Duration::from_millis(written.jitter_ms);
        Ok(Self { ways, ttl, delay, jitter, written })
    }

    pub(super) fn says(&self) -> &wire::Policy {
        &self.written
    }

    fn applies(&self, from: EndId, to: EndId, packet: &Packet) -> bool {
        let is = |asked: Option<EndId>, end| asked.is_none_or(|asked| asked == end);
        self.ways.iter().any(|way| is(way.0, from) && is(way.1, to))
            && (self.written.ports.is_empty()
                || packet.ports.is_some_and(|ports| {
                    ports.iter().any(|port| self.written.ports.contains(port))
                }))
    }
}

fn is_id(id: &str) -> bool {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.@".contains(c);
    (1..=ID_MAX).contains(&id.len()) && id.chars().all(is_known)
}

/// The policies in force. None outlives its time, whoever asks.
#[derive(Default)]
pub(crate) struct Policies(BTreeMap<String, InForce>);

pub(super) struct InForce {
    pub(super) policy: Policy,
    until: Duration,
    pub(super) packets: u64,
    pub(super) dropped: u64,
}

impl Policies {
    /// Puts one in force, in the place of one with its id.
    pub(crate) fn set(&mut self, policy: Policy, now: Duration) -> Result<(), String> {
        self.expire(now);
        let id = policy.written.id.clone();
        if self.0.len() >= POLICIES_MAX && !self.0.contains_key(&id) {
            return Err(format!("there are {POLICIES_MAX} policies already: lift one first"));
        }
        let until = now + policy.ttl;
        self.0.insert(id, InForce { policy, until, packets: 0, dropped: 0 });
        Ok(())
    }

    pub(crate) fn lift(&mut self, id: &str) {
        self.0.remove(id);
    }

    pub(crate) fn list(&mut self, now: Duration) -> Vec<wire::InForce> {
        self.expire(now);
        let line = |force: &InForce| {
            let left = force.until.saturating_sub(now).as_millis();
            wire::InForce {
                policy: force.policy.written.clone(),
                left_ms: u64::try_from(left).unwrap_or(u64::MAX),
                packets: force.packets,
                dropped: force.dropped,
            }
        };
        self.0.values().map(line).collect()
    }

    /// Returns those that a packet is subject to.
    pub(super) fn of<'a>(
        &'a mut self,
        from: EndId,
        to: EndId,
        packet: &'a Packet,
        now: Duration,
    ) -> impl Iterator<Item = &'a mut InForce> {
        self.expire(now);
        self.0.values_mut().filter(move |force| force.policy.applies(from, to, packet))
    }

    fn expire(&mut self, now: Duration) {
        if self.0.values().any(|force| force.until <= now) {
            self.0.retain(|_, force| force.until > now);
        }
    }
}
