//! The whole comparison: start everybody, measure in turn, write it down.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::load::Requests;
use crate::machine;
use crate::memory::{self, Memory};
use crate::proxy::{CONTENDERS, Contender, Programs, Proxy};
use crate::report;
use crate::round::{Cost, Latencies, Latency};
use crate::shape::Shape;
use crate::sites;
use crate::users::{User, users};

/// What is measured, by `make bench-router ROUNDS=3 SECONDS=2`.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// How long one proxy is measured in one round.
    pub(crate) duration: Duration,
    pub(crate) users: usize,
}

/// Everything measured, in the order of the contenders that were there.
pub(crate) struct Results {
    pub(crate) contenders: Vec<Contender>,
    pub(crate) costs: BTreeMap<usize, Vec<Cost>>,
    /// In the order of the shapes.
    pub(crate) latencies: Vec<Latencies>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) machine: Vec<String>,
    /// The load average before and after.
    pub(crate) load: [String; 2],
}

/// Measures, prints the tables and puts them into the document.
pub fn run() -> anyhow::Result<()> {
    let plan = Plan {
        rounds: setting("ROUNDS", 5)?,
        duration: Duration::from_secs(setting("SECONDS", 3)?),
        users: setting("USERS", 100_000)?,
    };
    let programs = Programs {
        envoy: env::var_os("ENVOY").filter(|path| !path.is_empty()).map(PathBuf::from),
        smallest: setting("SMALLEST", "target/dist/examples/smallest_proxy".to_owned())?.into(),
        router: setting("ROUTER", "target/dist/router".to_owned())?.into(),
    };
    memory::raise_file_limit()?;
    let folder = env::temp_dir().join(format!("bulkhead-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    say(&format!("logs and configurations are in {}", folder.display()));
    let results = measure(&plan, &programs, &folder)?;
    let text = report::text(&plan, &results);
    say(&text);
    if let Some(document) = env::var_os("DOCUMENT") {
        report::put(Path::new(&document), &text)?;
    }
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))
}

fn measure(plan: &Plan, programs: &Programs, folder: &Path) -> anyhow::Result<Results> {
    let (proxy_core, load_core) = (setting("PROXY_CORE", 0)?, setting("LOAD_CORE", 1)?);
    let load_before = machine::load_average();
    let _sites = sites::start(folder, load_core)?;
    let mut proxies = Vec::new();
    for contender in CONTENDERS {
        match contender.start(folder, programs, proxy_core)? {
            Some(proxy) => proxies.push(proxy),
            None => say(&format!("SKIPPED {}: the program cannot be had", contender.name())),
        }
    }
    let users = users(plan.users)?;
    let costs = Shape::ALL
        .into_iter()
        .enumerate()
        .map(|(place, shape)| Ok((place, costs(plan, &proxies, shape, &users)?)))
        .collect::<anyhow::Result<_>>()?;
    let latencies = Shape::ALL
        .into_iter()
        .map(|shape| latencies(plan, &proxies, shape, &users))
        .collect::<anyhow::Result<_>>()?;
    let small = Requests::new(Shape::Small, &users);
    let memories = proxies
        .iter()
        .map(|proxy| memory::measure(proxy, &small).with_context(|| in_the(proxy)))
        .collect::<anyhow::Result<_>>()?;
    Ok(Results {
        contenders: proxies.iter().map(|proxy| proxy.contender).collect(),
        costs,
        latencies,
        memories,
        machine: machine::describe(programs),
        load: [load_before, machine::load_average()],
    })
}

fn costs(
    plan: &Plan,
    proxies: &[Proxy],
    shape: Shape,
    users: &[User],
) -> anyhow::Result<Vec<Cost>> {
    let requests = Requests::new(shape, users);
    let mut costs: Vec<Cost> = proxies.iter().map(|_| Cost::default()).collect();
    for round in 0..plan.rounds {
        say(&format!("{}: round {} of {}", shape.as_str(), round + 1, plan.rounds));
        for place in in_turn(round, proxies.len()) {
            let proxy = &proxies[place];
            costs[place]
                .round(proxy.address, &proxy.process, &requests, plan.duration)
                .with_context(|| in_the(proxy))?;
        }
    }
    Ok(costs)
}

fn latencies(
    plan: &Plan,
    proxies: &[Proxy],
    shape: Shape,
    users: &[User],
) -> anyhow::Result<Latencies> {
    let requests = Requests::new(shape, users);
    let site: SocketAddr = sites::SITES[0].parse().context("read a site's address")?;
    let through = proxies.iter().map(|_| Latency::default()).collect();
    let mut latencies = Latencies { direct: Latency::default(), through };
    for round in 0..plan.rounds {
        say(&format!("latency of {}: round {} of {}", shape.as_str(), round + 1, plan.rounds));
        latencies.direct.round(site, &requests, plan.duration)?;
        for place in in_turn(round, proxies.len()) {
            let proxy = &proxies[place];
            latencies.through[place]
                .round(proxy.address, &requests, plan.duration)
                .with_context(|| in_the(proxy))?;
        }
    }
    Ok(latencies)
}

/// Everybody once, beginning with another one each round.
fn in_turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + round) % count)
}

fn in_the(proxy: &Proxy) -> String {
    format!("measure {}", proxy.contender.name())
}

pub(crate) fn setting<T>(name: &str, default: T) -> anyhow::Result<T>
where
    T: FromStr<Err: Display>,
{
    match env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|err| anyhow!("read {name}={text}: {err}"))
        }
        Ok(_) | Err(_) => Ok(default),
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark speaks to who runs it")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
