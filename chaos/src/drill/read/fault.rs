//! A fault as written → as meant.

use std::str::FromStr;
use std::time::Duration;

use super::super::yaml::{Need, Reader, Section, duration};
use super::super::{
    Choice, Death, Effect, EtcdMember, Fault, Lasting, Lines, Offset, Outage, Place, ProcessRole,
    Reach, Routers, Standbys, lines,
};

/// Longer is no pause any more but a freeze.
const LASTING_MAX: Duration = Duration::from_secs(10);

/// Later than this nobody waits for an answer any more.
const DELAY_MAX: Duration = Duration::from_secs(5);

pub(super) fn fault(reader: &mut Reader, provider: &Section<'_>) -> Option<Fault> {
    let known = Fault::KINDS;
    let kind = reader.value(provider, "kind", Need::Must, &known.join(", "), |text| {
        known.into_iter().find(|kind| *kind == text)
    })?;
    only_own(reader, provider, kind);
    if let Some(fault) = of_etcd(kind) {
        no_target(reader, provider, kind);
        return Some(fault);
    }
    let target = reader.section(provider, "target", Need::Must, keys(kind))?;
    let sites: &[(&str, Place)] = match kind {
        "site.kill" => &[("active", Place::Active), ("standby", Place::Standby)],
        _ => &[("active", Place::Active)],
    };
    let names: Vec<&str> = sites.iter().map(|(name, _)| *name).collect();
    let site = reader.value(&target, "site", Need::May, &names.join(" or "), |text| {
        sites.iter().find(|(name, _)| *name == text).map(|(_, place)| *place)
    });
    let site = site.unwrap_or(Place::Active);
    match kind {
        "process.kill" => {
            let (cell, role) = (choice(reader, &target, "cell"), role(reader, &target, "role"));
            Some(Fault::ProcessKill { cell: cell?, role: role? })
        }
        "process.freeze" => {
            let (cell, role) = (choice(reader, &target, "cell"), role(reader, &target, "process"));
            Some(Fault::ProcessFreeze { cell: cell?, role: role? })
        }
        "process.pause" => {
            let any = |text: &str| (text == "true").then_some(());
            reader.value(&target, "any", Need::Must, "true", any);
            Some(Fault::ProcessPause { lasting: lasting(reader, provider)? })
        }
        "site.kill" => {
            let cell = choice(reader, &target, "cell")?;
            Some(Fault::SiteKill { cell, site })
        }
        "site.freeze" => Some(Fault::SiteFreeze { cell: choice(reader, &target, "cell")? }),
        "postgres.stall" => {
            let (cell, lasting) = (choice(reader, &target, "cell"), lasting(reader, provider));
            Some(Fault::PostgresStall { cell: cell?, lasting: lasting? })
        }
        "replication.stall" => replication(reader, &target, provider),
        "cpu.starve" => {
            let cell = choice(reader, &target, "cell");
            let expected = "a share of one processor, from 1% to 90%";
            let percent = reader.value(provider, "share", Need::Must, expected, |text| {
                text.strip_suffix('%')?.parse().ok().filter(|share| (1..=90).contains(share))
            });
            Some(Fault::CpuStarve { cell: cell?, percent: percent? })
        }
        "net.stream" | "site.slow" | "disk.full" | "disk.slow" | "clock.offset" => {
            of_cell(reader, kind, &target, provider)
        }
        "region.kill" => {
            let (region, death) = (choice(reader, &target, "region"), death(reader, &target));
            Some(Fault::RegionKill { region: region?, death })
        }
        "regions.kill" => {
            let (left, death) = (choice(reader, &target, "left"), death(reader, &target));
            Some(Fault::RegionsKill { left: left?, death })
        }
        "router.stale" => {
            let auto = |text: &str| (text == "auto").then_some(());
            reader.value(&target, "router", Need::Must, "auto", auto);
            Some(Fault::RouterStale)
        }
        "router.upgrade" => {
            let all = |text: &str| (text == "all").then_some(());
            reader.value(&target, "router", Need::Must, "all", all);
            Some(Fault::RouterUpgrade)
        }
        "control-plane.blind" => blind(reader, &target),
        "etcd.majority-loss" => {
            let names = Outage::ALL.map(Outage::name).join(" or ");
            let mode = reader.value(&target, "mode", Need::Must, &names, |text| {
                Outage::ALL.into_iter().find(|mode| mode.name() == text)
            });
            Some(Fault::EtcdMajorityLoss { mode: mode? })
        }
        "etcd.kill" | "control-plane.kill" | "router.kill" => of_fleet(reader, kind, &target),
        net if net.starts_with("net.") => {
            let (region, lines) = (choice(reader, &target, "region"), Lines::read(reader, &target));
            let effect = Effect::read(reader, provider, net);
            Some(Fault::Net { region: region?, lines, effect: effect? })
        }
        "failover" => Some(Fault::Failover { cell: choice(reader, &target, "cell")? }),
        "restore" => Some(Fault::Restore { cell: choice(reader, &target, "cell")? }),
        "evacuate" => Some(Fault::Evacuate { region: choice(reader, &target, "region")? }),
        _ => {
            let cell = choice(reader, &target, "cell");
            let to = choice(reader, &target, "to");
            Some(Fault::Switchover { cell: cell?, to: to? })
        }
    }
}

/// Reports what is said of a fault, besides its target, that its kind does not have.
fn only_own(reader: &mut Reader, provider: &Section<'_>, kind: &str) {
    let own = match kind {
        "process.pause" | "postgres.stall" | "replication.stall" => "for",
        "cpu.starve" => "share",
        "site.slow" | "clock.offset" | "disk.slow" | "net.stream" | "net.latency" | "net.loss"
        | "net.rate" | "net.flap" => "arguments",
        _ => "",
    };
    let written = provider.keys();
    let is_foreign = |key: &&str| *key != own && written.iter().any(|written| written == *key);
    for key in ["arguments", "for", "share"].into_iter().filter(is_foreign) {
        let problem = match key {
            "for" => "of pauses and stalls only; others last until healed".to_owned(),
            _ => format!("{kind} has none: leave it out"),
        };
        reader.report(provider, key, problem);
    }
}

/// Whom these are aimed at their kind says.
fn of_etcd(kind: &str) -> Option<Fault> {
    match kind {
        "etcd.leader-kill" => Some(Fault::EtcdLeaderKill),
        "etcd.leader-freeze" => Some(Fault::EtcdFreeze),
        "etcd.leader-isolate" => Some(Fault::EtcdLeaderIsolate),
        "etcd.snapshot" => Some(Fault::EtcdSnapshot),
        "etcd.wipe" => Some(Fault::EtcdWipe),
        _ => None,
    }
}

/// There is one etcd, and one leader of it, which may be said.
fn no_target(reader: &mut Reader, provider: &Section<'_>, kind: &str) {
    if kind.starts_with("etcd.leader-") {
        reader.section(provider, "target", Need::May, keys(kind));
    } else if provider.keys().iter().any(|written| written == "target") {
        reader.report(provider, "target", "all of etcd is meant: leave it out");
    }
}

/// Returns what a target of this kind of fault may say.
fn keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "process.kill" => &["cell", "role", "site"],
        "process.freeze" => &["cell", "process", "site"],
        "process.pause" => &["any"],
        "site.kill" | "site.freeze" | "site.slow" | "postgres.stall" | "cpu.starve"
        | "clock.offset" | "disk.full" | "disk.slow" | "net.stream" => &["cell", "site"],
        "replication.stall" => &["cell", "site", "standbys"],
        "region.kill" => &["region", "mode"],
        "regions.kill" => &["left", "mode"],
        net if net.starts_with("net.") => &lines::TARGET,
        "switchover" => &["cell", "to"],
        "failover" | "restore" => &["cell"],
        "evacuate" => &["region"],
        "etcd.kill" | "control-plane.kill" => &["member"],
        "control-plane.blind" => &["control-plane", "reaches"],
        "etcd.majority-loss" => &["mode"],
        "router.kill" | "router.upgrade" | "router.stale" => &["router"],
        _ => &["leader"],
    }
}

/// Of all standbys, where it is not said.
fn replication(reader: &mut Reader, target: &Section<'_>, provider: &Section<'_>) -> Option<Fault> {
    let (cell, lasting) = (choice(reader, target, "cell"), lasting(reader, provider));
    let words = [("all", Standbys::All), ("one", Standbys::One)];
    let standbys = reader.value(target, "standbys", Need::May, "all or one", |text| {
        words.iter().find(|(word, _)| *word == text).map(|(_, standbys)| *standbys)
    });
    let standbys = standbys.unwrap_or(Standbys::All);
    Some(Fault::ReplicationStall { cell: cell?, standbys, lasting: lasting? })
}

/// A fault of a cell's active site that says more than which.
fn of_cell(
    reader: &mut Reader,
    kind: &str,
    target: &Section<'_>,
    provider: &Section<'_>,
) -> Option<Fault> {
    let cell = choice(reader, target, "cell");
    match kind {
        "disk.full" => Some(Fault::DiskFull { cell: cell? }),
        "disk.slow" => {
            let item = reader.section(provider, "arguments", Need::Must, &["writes"])?;
            let expected = "writes a second, from 1 to 1000";
            let writes = reader.value(&item, "writes", Need::Must, expected, |text| {
                text.parse().ok().filter(|writes| (1..=1000).contains(writes))
            });
            Some(Fault::DiskSlow { cell: cell?, writes: writes? })
        }
        "site.slow" => {
            let item = reader.section(provider, "arguments", Need::Must, &["delay"])?;
            let expected = "a duration up to 5s, such as 800ms";
            let by = reader.value(&item, "delay", Need::Must, expected, |text| {
                duration(text).filter(|by| *by <= DELAY_MAX)
            });
            Some(Fault::SiteSlow { cell: cell?, by: by? })
        }
        "clock.offset" => {
            let item = reader.section(provider, "arguments", Need::Must, &["offset"])?;
            let expected = "a sign and a duration up to a day, such as +60m or -500ms";
            let offset = reader.value(&item, "offset", Need::Must, expected, Offset::parse);
            Some(Fault::ClockOffset { cell: cell?, offset: offset? })
        }
        _ => {
            let item = reader.section(provider, "arguments", Need::Must, &["cut", "share"])?;
            let cut = reader
                .value(&item, "cut", Need::Must, "answers or commits", |text| text.parse().ok());
            let expected = "a share from 1% to 100%";
            let percent = reader.value(&item, "share", Need::Must, expected, |text| {
                text.strip_suffix('%')?.parse().ok().filter(|share| (1..=100).contains(share))
            });
            Some(Fault::NetStream { cell: cell?, cut: cut?, percent: percent? })
        }
    }
}

fn death(reader: &mut Reader, target: &Section<'_>) -> Death {
    let deaths = [("crash", Death::Crash), ("silent", Death::Silent)];
    let death = reader.value(target, "mode", Need::May, "crash or silent", |text| {
        deaths.iter().find(|(word, _)| *word == text).map(|(_, death)| *death)
    });
    death.unwrap_or(Death::Crash)
}

fn blind(reader: &mut Reader, target: &Section<'_>) -> Option<Fault> {
    let region = choice(reader, target, "control-plane");
    let names = Reach::ALL.map(Reach::name).join(" or ");
    let reach = reader.value(target, "reaches", Need::Must, &names, |text| {
        Reach::ALL.into_iter().find(|reach| reach.name() == text)
    });
    Some(Fault::ControlPlaneBlind { region: region?, reach: reach? })
}

/// A fault of what no cell owns.
fn of_fleet(reader: &mut Reader, kind: &str, target: &Section<'_>) -> Option<Fault> {
    match kind {
        "control-plane.kill" => {
            let expected = "all or a region's id";
            let member = reader.value(target, "member", Need::Must, expected, |text| match text {
                "all" => Some(None),
                region => region.parse().ok().map(Some),
            });
            Some(Fault::ControlPlaneKill { region: member? })
        }
        "router.kill" => {
            let expected = "auto, or all for each in turn";
            let routers = reader.value(target, "router", Need::Must, expected, |text| match text {
                "auto" => Some(Routers::One),
                "all" => Some(Routers::EachInTurn),
                _ => None,
            });
            Some(Fault::RouterKill { routers: routers? })
        }
        _ => {
            let expected = "leader, all or a region's id";
            let member = reader.value(target, "member", Need::Must, expected, |text| match text {
                "leader" => Some(EtcdMember::Leader),
                "all" => Some(EtcdMember::All),
                region => region.parse().ok().map(EtcdMember::Of),
            });
            Some(Fault::EtcdKill { member: member? })
        }
    }
}

fn role(reader: &mut Reader, target: &Section<'_>, key: &'static str) -> Option<ProcessRole> {
    let names = ProcessRole::ALL.map(|(name, _)| name).join(", ");
    reader.value(target, key, Need::Must, &names, |text| {
        ProcessRole::ALL.iter().find(|(name, _)| *name == text).map(|(_, role)| *role)
    })
}

/// The two ends of a time that is left to chance.
fn lasting(reader: &mut Reader, provider: &Section<'_>) -> Option<Lasting> {
    let bounds = reader.words(provider, "for", "a duration such as 300ms", duration);
    let expected = "expected two durations up to 10s, the shorter first, such as [300ms, 1s]";
    match bounds[..] {
        [shortest, longest] if shortest <= longest && longest <= LASTING_MAX => {
            Some(Lasting { shortest, longest })
        }
        _ => {
            reader.report(provider, "for", expected);
            None
        }
    }
}

/// An id, or `auto`, which is also meant where nothing is said.
fn choice<T: FromStr>(reader: &mut Reader, item: &Section<'_>, key: &str) -> Option<Choice<T>> {
    if !item.keys().iter().any(|written| written == key) {
        return Some(Choice::Auto);
    }
    reader.value(item, key, Need::Must, "auto or an id", |text| match text {
        "auto" => Some(Choice::Auto),
        named => named.parse().ok().map(Choice::Named),
    })
}
