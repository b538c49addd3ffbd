//! The ways between ends, and what becomes of a packet that goes one.

use std::time::Duration;

use topology::spec::{End, Line, Wan};
use topology::wire::wan::{Cut, Traffic};

use super::{EndId, Packet, Policies};

/// On its way at once, one way. More than what TCP has under way over 80 ms with the 6 MB that Linux
/// gives a connection, for several of them; beyond it packets are dropped, as a router does.
const UNDER_WAY_MAX: usize = 32 * 1024 * 1024;
/// How long a packet waits for its turn where there is a rate; a router's queue is about as long.
const TURN_MAX: Duration = Duration::from_millis(250);

/// What becomes of a packet. Moments are counted from whenever the caller's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Leaves(Duration),
    LeavesTwice(Duration, Duration),
    Dropped,
}

/// Every way and what is on it.
pub(crate) struct Ways {
    ends: Vec<End>,
    /// By the end they come from, and the end they go to.
    between: Vec<Vec<Option<Way>>>,
    pub(crate) policies: Policies,
}

struct Way {
    line: Line,
    /// When the last packet that kept its place leaves: the next one leaves no sooner.
    last: Duration,
    /// When the next packet has its turn, where there is a rate.
    turn: Duration,
    /// On it at the moment.
    bytes: usize,
    traffic: Traffic,
}

impl Ways {
    pub(crate) fn new(wan: &Wan) -> Self {
        let mut ends: Vec<End> = wan.lines.keys().map(|(from, _)| from.clone()).collect();
        ends.dedup();
        let way = |from: &End, to: &End| {
            let line = *wan.lines.get(&(from.clone(), to.clone()))?;
            let traffic =
                Traffic { from: from.to_string(), to: to.to_string(), ..Traffic::default() };
            let nothing = Duration::ZERO;
            Some(Way { line, last: nothing, turn: nothing, bytes: 0, traffic })
        };
        let from = |from| ends.iter().map(|to| way(from, to)).collect();
        Self { between: ends.iter().map(from).collect(), ends, policies: Policies::default() }
    }

    /// Returns the ends, each at its number.
    pub(crate) fn ends(&self) -> &[End] {
        &self.ends
    }

    fn way(&mut self, from: EndId, to: EndId) -> Option<&mut Way> {
        self.between.get_mut(from)?.get_mut(to)?.as_mut()
    }

    /// Decides on a packet that is at the beginning of its way now. `chance` gives numbers from 0 to
    /// 1. Whoever is told that it leaves says so with [`Self::left`], once for each time.
    pub(crate) fn enter(
        &mut self,
        from: EndId,
        to: EndId,
        packet: &Packet,
        now: Duration,
        chance: &mut dyn FnMut() -> f64,
    ) -> Fate {
        // Not by the method: the policies are looked at meanwhile.
        let way = self.between.get_mut(from).and_then(|ways| ways.get_mut(to)?.as_mut());
        let Some(way) = way else { return Fate::Dropped };
        way.traffic.packets += 1;
        way.traffic.bytes += packet.bytes as u64;
        let (mut delay, mut early, mut twice) = (vary(&way.line, chance), false, false);
        let mut rate: Option<u64> = None;
        for force in self.policies.of(from, to, packet, now) {
            force.packets += 1;
            let says = force.policy.says();
            let is_cut = match says.cut {
                Some(Cut::All) => true,
                Some(Cut::Connects) => packet.opens,
                None => false,
            };
            if is_cut || happens(says.loss, chance) {
                force.dropped += 1;
                way.traffic.dropped += 1;
                return Fate::Dropped;
            }
            let line = Line { delay: force.policy.delay, jitter: force.policy.jitter };
            delay += vary(&line, chance);
            early |= happens(says.reorder, chance);
            twice |= happens(says.duplicate, chance);
            rate = [rate, says.rate_kbit].into_iter().flatten().min();
        }
        let turn = if rate.is_some() { way.turn.max(now) } else { now };
        let copies = if twice { 2 } else { 1 };
        let is_full = way.bytes + copies * packet.bytes > UNDER_WAY_MAX;
        if is_full || turn.saturating_sub(now) > TURN_MAX {
            way.traffic.overflowed += 1;
            return Fate::Dropped;
        }
        way.bytes += copies * packet.bytes;
        if let Some(rate) = rate {
            // Bits over 1000 bits a second are milliseconds.
            way.turn = turn + Duration::from_nanos(packet.bytes as u64 * 8_000_000 / rate);
        }
        if early {
            return if twice { Fate::LeavesTwice(turn, turn) } else { Fate::Leaves(turn) };
        }
        let at = way.last.max(turn + delay);
        way.last = at;
        if twice { Fate::LeavesTwice(at, at) } else { Fate::Leaves(at) }
    }

    /// Notes that a packet is at the end of its way.
    pub(crate) fn left(&mut self, from: EndId, to: EndId, bytes: usize) {
        if let Some(way) = self.way(from, to) {
            way.bytes = way.bytes.saturating_sub(bytes);
        }
    }

    pub(crate) fn traffic(&self) -> Vec<Traffic> {
        self.between.iter().flatten().flatten().map(|way| way.traffic.clone()).collect()
    }
}

fn vary(line: &Line, chance: &mut dyn FnMut() -> f64) -> Duration {
    if line.jitter.is_zero() {
        return line.delay;
    }
    (line.delay + line.jitter.mul_f64(2.0 * chance())).saturating_sub(line.jitter)
}

fn happens(share: f64, chance: &mut dyn FnMut() -> f64) -> bool {
    share > 0.0 && chance() < share
}
