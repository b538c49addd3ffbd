//! The switch: reads packets, has it decided what becomes of them, and writes them when it is time.
//!
//! One task owns everything, so that nothing is locked between two packets.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use topology::wire::wan::{Answer, Request};
use tracing::{debug, info};

use super::device::Device;
use crate::decide::wan::{EndId, Fate, Packet, Policy, Ways};

/// Read of one device before the others have their turn.
const BATCH: usize = 64;
/// No packet is longer.
const PACKET_MAX: usize = 64 * 1024;

/// Where an end, or the machine itself, is connected.
pub(super) struct Port {
    pub(super) network: [u8; 2],
    /// Nothing is done to what comes from, or goes to, the machine itself.
    pub(super) end: Option<EndId>,
    pub(super) device: Device,
}

/// A request and who waits for its answer.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Answer>,
}

pub(super) struct Switch {
    ports: Vec<Port>,
    ways: Ways,
    begun: Instant,
    random: SmallRng,
    /// By when they leave, those with the same moment in their order.
    leaving: BTreeMap<(Duration, u64), Leaving>,
    entered: u64,
    /// The port that is asked first.
    turn: usize,
}

struct Leaving {
    from: EndId,
    to: EndId,
    port: usize,
    packet: Box<[u8]>,
}

impl Switch {
    pub(super) fn new(ports: Vec<Port>, ways: Ways) -> Self {
        let (begun, random) = (Instant::now(), rand::make_rng());
        Self { ports, ways, begun, random, leaving: BTreeMap::new(), entered: 0, turn: 0 }
    }

    pub(super) async fn run(
        mut self,
        mut asked: mpsc::Receiver<Asked>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut buffer = vec![0; PACKET_MAX];
        let alarm = sleep_until(self.begun);
        tokio::pin!(alarm);
        loop {
            let next = self.leaving.first_key_value().map(|((at, _), _)| self.begun + *at);
            if let Some(next) = next.filter(|next| alarm.deadline() != *next) {
                alarm.as_mut().reset(next);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(asked) = asked.recv() => self.answer(asked),
                () = &mut alarm, if next.is_some() => {}
                read = poll_fn(|context| self.poll_read(context, &mut buffer)) => {
                    let (port, length) = read.context("read a packet")?;
                    self.enter(port, &buffer[..length]);
                    self.drain(port, &mut buffer)?;
                }
            }
            self.deliver();
        }
    }

    /// Reads from whichever device has something, each first in turn.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, usize)>> {
        self.turn = (self.turn + 1) % self.ports.len();
        for offset in 0..self.ports.len() {
            let port = (self.turn + offset) % self.ports.len();
            if let Poll::Ready(read) = self.ports[port].device.poll_read(context, buffer) {
                return Poll::Ready(read.map(|length| (port, length)));
            }
        }
        Poll::Pending
    }

    fn drain(&mut self, port: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        for _ in 1..BATCH {
            let read = self.ports[port].device.try_read(buffer).context("read a packet")?;
            let Some(length) = read else { break };
            self.enter(port, &buffer[..length]);
        }
        Ok(())
    }

    fn enter(&mut self, port: usize, bytes: &[u8]) {
        let Some(packet) = Packet::read(bytes) else { return };
        // Nobody speaks for another network.
        if packet.from != self.ports[port].network {
            return;
        }
        let Some(out) = self.ports.iter().position(|out| out.network == packet.to) else { return };
        let (Some(from), Some(to)) = (self.ports[port].end, self.ports[out].end) else {
            self.write(out, bytes);
            return;
        };
        let now = self.begun.elapsed();
        let random = &mut self.random;
        let fate = self.ways.enter(from, to, &packet, now, &mut || random.random());
        let times = match fate {
            Fate::Dropped => [None, None],
            Fate::Leaves(at) => [Some(at), None],
            Fate::LeavesTwice(first, second) => [Some(first), Some(second)],
        };
        for at in times.into_iter().flatten() {
            self.entered += 1;
            let leaving = Leaving { from, to, port: out, packet: bytes.into() };
            self.leaving.insert((at, self.entered), leaving);
        }
    }

    /// Lets out everything whose time has come.
    fn deliver(&mut self) {
        let now = self.begun.elapsed();
        while let Some(entry) = self.leaving.first_entry().filter(|entry| entry.key().0 <= now) {
            let Leaving { from, to, port, packet } = entry.remove();
            self.ways.left(from, to, packet.len());
            self.write(port, &packet);
        }
    }

    fn write(&self, port: usize, packet: &[u8]) {
        // As a wire does: what cannot be taken is lost, and TCP sends it again.
        if let Err(err) = self.ports[port].device.write(packet) {
            debug!(error = %err, "packet lost");
        }
    }

    fn answer(&mut self, Asked { request, answer }: Asked) {
        let now = self.begun.elapsed();
        let mut problems = Vec::new();
        match request {
            Request::Set(written) => {
                info!(policy = written.id, ttl_ms = written.ttl_ms, "policy asked for");
                let policy = Policy::read(written, self.ways.ends());
                let set = policy.and_then(|policy| {
                    self.ways.policies.set(policy, now).map_err(|problem| vec![problem])
                });
                problems = set.err().unwrap_or_default();
            }
            Request::Lift { id } => {
                info!(policy = id, "policy lifted");
                self.ways.policies.lift(&id);
            }
            Request::List {} => {}
        }
        let policies = self.ways.policies.list(now);
        let told = answer.send(Answer { problems, policies, ways: self.ways.traffic() });
        if told.is_err() {
            debug!("nobody waits for the answer any more");
        }
    }
}
