//! A process namespace for each end of the WAN: who lives in one sees nobody else and can signal nobody
//! else, and dies with its init (`platform init`), which dies with the supervisor.
//!
//! ```text
//! supervisor ─┬─ init of east ┄ is pid 1 of ┄ ┌ east ───────────────────┐
//!             ├─ etcd@east ┄┄┄┄ born in ┄┄┄┄┄ │ sees its own /proc only │
//!             ├─ c1@east ┄┄┄┄┄┄ born in ┄┄┄┄┄ └─────────────────────────┘
//!             └─ wan, and what has drills run: outside
//! ```

mod birth;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runtime::clock::BootTime;
use topology::spec::End;
use topology::wire::fleet::FleetInit;
use tracing::warn;

use crate::decide::restart::Backoff;
use crate::machine::Process;
pub(crate) use birth::Init;

/// By then an init has ended, and whoever was left with it: they are killed.
pub(crate) const END: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// The init of each end that has a process namespace of its own; none, where there is no WAN.
#[derive(Default)]
pub(crate) struct Inits {
    by_end: BTreeMap<End, Place>,
}

/// Where an init is, and another one after it.
struct Place {
    state: State,
    backoff: Backoff,
}

enum State {
    Running { init: Init, since: BootTime },
    Down { due: BootTime },
}

impl Inits {
    /// Makes a namespace for each of these ends; `program` is this one.
    pub(crate) fn make(program: &Path, ends: Vec<End>) -> anyhow::Result<Self> {
        let start = |end: End| {
            let init = Init::start(program, &end)
                .with_context(|| format!("make the process namespace of {end}"))?;
            let state = State::Running { init, since: BootTime::now() };
            Ok((end, Place { state, backoff: Backoff::default() }))
        };
        let by_end = ends.into_iter().map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { by_end })
    }

    /// Starts another init where one has ended, whoever has ended it.
    pub(crate) fn renew(&mut self, program: &Path, now: BootTime) {
        for (end, place) in &mut self.by_end {
            place.reap(end, now);
            place.start_if_due(program, end, now);
        }
    }

    /// Returns the init of an end; `None` where the end has no process namespace of its own.
    pub(crate) fn of(&self, end: &End) -> anyhow::Result<Option<&Init>> {
        match self.by_end.get(end).map(|place| &place.state) {
            None => Ok(None),
            Some(State::Running { init, .. }) if init.lets_others_be_born() => Ok(Some(init)),
            Some(State::Running { .. }) => bail!(
                "find the init of {end}: it is dead, and gone once every zombie there has been waited for by \
                 its parent"
            ),
            Some(State::Down { .. }) => bail!("find the init of {end}: it has ended"),
        }
    }

    /// Returns them as others read them in `fleet.json`.
    pub(crate) fn lines(&self) -> BTreeMap<String, FleetInit> {
        let line = |(end, place): (&End, &Place)| match &place.state {
            State::Running { init, .. } => {
                let Process { pid, start_time } = init.process;
                Some((end.to_string(), FleetInit { pid, start_time }))
            }
            State::Down { .. } => None,
        };
        self.by_end.iter().filter_map(line).collect()
    }

    /// Ends them all, and with them whoever is left.
    pub(crate) async fn end(&mut self) {
        let places = std::mem::take(&mut self.by_end).into_values();
        let mut left: Vec<Init> = places
            .filter_map(|place| match place.state {
                State::Running { init, .. } => Some(init),
                State::Down { .. } => None,
            })
            .collect();
        for init in &mut left {
            drop(init.child.stdin.take());
        }
        let until = BootTime::now() + END;
        loop {
            left.retain_mut(|init| !matches!(init.child.try_wait(), Ok(Some(_))));
            if left.is_empty() {
                return;
            }
            if BootTime::now() >= until {
                warn!(left = left.len(), "inits do not end");
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Place {
    fn reap(&mut self, end: &End, now: BootTime) {
        let State::Running { init, since } = &mut self.state else { return };
        let status = match init.child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(err) => err.to_string(),
        };
        let pause = self.backoff.after_exit(now.since(*since));
        warn!(%end, status, ?pause, "init ended, and all who lived there");
        self.state = State::Down { due: now + pause };
    }

    fn start_if_due(&mut self, program: &Path, end: &End, now: BootTime) {
        match self.state {
            State::Down { due } if now >= due => {}
            State::Down { .. } | State::Running { .. } => return,
        }
        self.state = match Init::start(program, end) {
            Ok(init) => State::Running { init, since: now },
            Err(err) => {
                let pause = self.backoff.after_exit(Duration::ZERO);
                warn!(%end, error = format!("{err:#}"), ?pause, "init not started");
                State::Down { due: now + pause }
            }
        };
    }
}
