//! `etcd.leader-isolate`: etcd's leader runs on, and neither reaches the other members nor is reached by
//! them, until healed. Its clients reach it as before: they are told that nobody leads.

use anyhow::ensure;
use tokio::time::{Instant, sleep};
use topology::RegionId;
use topology::address::Port;
use topology::spec::End;

use super::ask::{self, PAUSE, View};
use crate::fault::cut_off::{CutOff, Far, cut_off};
use crate::fault::{Bench, Injection};
use crate::safeguard::Safeguard;

pub(in crate::fault) async fn isolate(
    bench: &Bench<'_>,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let (platform, within) = (bench.platform, bench.action.verify_within);
    let old = ask::leader(platform, within).await?;
    let name = ask::name(&old);
    let process = platform.running(&name)?;
    let regions: Vec<&RegionId> = platform.spec.regions.iter().map(|region| &region.id).collect();
    let others = regions.iter().filter(|region| **region != &old);
    let far: anyhow::Result<Vec<Far>> = others
        .map(|region| ask::address(platform, region, Port::EtcdPeer).map(Far::Port))
        .collect();
    let cut = CutOff {
        name: &name,
        end: End::Region(old.clone()),
        far: far?,
        shut: Some(ask::address(platform, &old, Port::EtcdPeer)?),
        from: "the other members",
    };
    let filter = cut_off(bench, cut, safeguard, injection).await?;

    let from = Instant::now();
    let new = loop {
        let views = ask::views(platform).await;
        if views.len() == regions.len()
            && let Some(new) = successor(&old, &views)
        {
            injection.led_again.get_or_insert(bench.clock.now());
            if is_alone(&old, &views) {
                break new.clone();
            }
        }
        ensure!(
            from.elapsed() < within,
            "see another member lead, and {name} without a leader: {views:?}"
        );
        sleep(PAUSE).await;
    };
    let after = from.elapsed().as_millis();
    let packets = filter.counted()?;
    ensure!(packets > 0, "see packets of {name} dropped: there was none");
    ensure!(process.is_alive(), "see {name} run on: process {} is gone", process.pid);
    let new = ask::name(&new);
    injection.proof.push(format!("{packets} packets of {name} and to it were dropped"));
    injection.proof.push(format!(
        "process {} of {name} runs, and says that nobody leads; {new} led after {after} ms",
        process.pid
    ));
    Ok(())
}

/// Returns whom all members but the old leader follow.
fn successor<'a>(old: &RegionId, views: &'a [View]) -> Option<&'a RegionId> {
    let mut others = views.iter().filter(|view| view.region != *old);
    let new = others.clone().find(|view| view.leads())?;
    others.all(|view| view.follows(new)).then_some(&new.region)
}

/// Whether the old leader knows that it leads nobody.
fn is_alone(old: &RegionId, views: &[View]) -> bool {
    views.iter().any(|view| view.region == *old && view.has_no_leader())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_isolated_once_it_leads_nobody_and_the_others_follow_another() {
        let (east, north) = (ask::said("east", "1", ""), ask::said("north", "2", "2"));
        check(&[east.clone(), north.clone(), ask::said("south", "3", "2")], Some("north"));
        check(&[ask::said("east", "1", "0"), north, ask::said("south", "3", "2")], Some("north"));
        // It still takes itself for the leader, though the others have another.
        let (north, south) = (ask::said("north", "2", "2"), ask::said("south", "3", "2"));
        let views = [ask::said("east", "1", "1"), north, south];
        let followed = successor(&"east".parse().unwrap(), &views).map(ToString::to_string);
        assert_eq!(followed.as_deref(), Some("north"));
        check(&views, None);
        // Not all have heard yet.
        let (north, south) = (ask::said("north", "2", "2"), ask::said("south", "3", "1"));
        check(&[east.clone(), north, south], None);
        // Nobody leads yet.
        check(&[east, ask::said("north", "2", ""), ask::said("south", "3", "")], None);
    }

    #[track_caller]
    fn check(views: &[View; 3], expected: Option<&str>) {
        let east = "east".parse().unwrap();
        let found = successor(&east, views).filter(|_| is_alone(&east, views));
        let found = found.map(ToString::to_string);
        assert_eq!(found.as_deref(), expected);
    }
}
