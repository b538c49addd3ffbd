//! What the users' router counts and tells the control planes: `router::metrics::traffic`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use topology::wire::report::{RouterReport, TrafficSecond};

use super::Proc;
use super::client::Answer;
use super::etcd::Put;

const REPORT: u64 = 2;

/// What has been answered in this second, each with how long it took.
#[derive(Default)]
pub struct Counted {
    took: RefCell<Vec<Duration>>,
    failed: RefCell<u64>,
}

impl Counted {
    /// A request that is refused is held and sent again: it is counted once it is answered.
    pub fn note(&self, answer: Option<Answer>, took: Duration) {
        match answer {
            Some(Answer::Refused) => return,
            Some(Answer::Done { .. }) => {}
            Some(Answer::Unknown) | None => *self.failed.borrow_mut() += 1,
        }
        self.took.borrow_mut().push(took);
    }

    fn second(&self) -> TrafficSecond {
        let mut took = self.took.take();
        took.sort_unstable();
        let median = took.get(took.len() / 2).copied().unwrap_or_default();
        TrafficSecond {
            requests: took.len() as u64,
            failed: self.failed.take(),
            unreachable: 0,
            median_ms: u64::try_from(median.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

pub async fn report(router: Proc) {
    let mut seconds = Vec::new();
    let cell = router.sim.cell.to_string();
    for sequence in 1.. {
        router.sleep(Duration::from_secs(1)).await;
        seconds.push(router.sim.users.counted.second());
        if sequence % REPORT == 0 {
            let traffic = [(cell.clone(), std::mem::take(&mut seconds))].into();
            let report = RouterReport { sequence, version: 1, stale: false, held: 0, traffic };
            router.sim.tell(&router, Put::Router(Rc::new(report))).await;
        }
    }
}
