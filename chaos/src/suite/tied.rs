//! A suite that a control plane has followed ends with its starter, whose right it is: once standard
//! input ends. A drill that takes the starter down itself is finished first.

use std::io::ErrorKind;
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use tokio::net::unix::pipe::Receiver;
use topology::RegionId;

use super::rotation::Hit;
use crate::drill::{Drill, Fault};

/// Whoever has started this program.
pub(crate) struct Tied {
    /// Where it is.
    region: RegionId,
    input: Receiver,
}

impl Tied {
    /// Ties this program to the control plane of a region, by the pipe that is standard input.
    pub(crate) fn to(region: RegionId) -> anyhow::Result<Self> {
        let input = std::io::stdin().as_fd().try_clone_to_owned().context("take over the input")?;
        let input = Receiver::from_owned_fd(input).context("listen to the input, a pipe")?;
        Ok(Self { region, input })
    }

    /// Returns only once the starter is gone, or has let go.
    pub(crate) async fn gone(&self) {
        let mut said = [0; 64];
        while self.input.readable().await.is_ok() {
            match self.input.try_read(&mut said) {
                // Nothing is ever said.
                Ok(length) if length > 0 => {}
                Err(err) if err.kind() == ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Whether a drill may be why the starter is gone, or out of etcd's sight.
    pub(crate) fn is_hit_by(&self, drill: &Drill, hit: &Hit) -> bool {
        is_hit(&self.region, drill, hit)
    }
}

fn is_hit(region: &RegionId, drill: &Drill, hit: &Hit) -> bool {
    let takes_it_down = |fault: &Fault| {
        matches!(
            fault,
            Fault::ControlPlaneKill { .. }
                | Fault::EtcdKill { .. }
                | Fault::EtcdLeaderKill
                | Fault::EtcdFreeze
                | Fault::EtcdLeaderIsolate
                | Fault::EtcdMajorityLoss { .. }
                | Fault::EtcdWipe
                | Fault::RegionsKill { .. }
        )
    };
    hit.regions.contains(region) || drill.actions.iter().any(|action| takes_it_down(&action.fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::catalogue::DRILLS;

    #[test]
    fn a_drill_that_takes_its_starter_down_is_finished_and_no_other() {
        check("region-loss", "east", true);
        check("region-loss", "north", false);
        check("control-plane-loss", "", true);
        check("etcd-leader-freeze", "", true);
        check("etcd-leader-isolated", "", true);
        check("etcd-majority-loss", "", true);
        check("cell-loss", "", false);
        check("router-crash", "", false);
    }

    #[track_caller]
    fn check(drill: &str, regions: &str, expected: bool) {
        let (name, text) = DRILLS.iter().find(|(name, _)| *name == drill).unwrap();
        let drill = Drill::parse(name, text).unwrap();
        let regions = regions.split_whitespace().map(|region| region.parse().unwrap()).collect();
        let hit = Hit { regions, ..Hit::default() };
        assert_eq!(is_hit(&"east".parse().unwrap(), &drill, &hit), expected);
    }
}
