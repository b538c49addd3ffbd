//! The whole measurement: deciding alone, then everything before a real etcd, with more and more
//! cells.

use std::env;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use runtime::{HttpClient, Tasks};
use tokio::time::{Instant, sleep};
use topology::Spec;

use crate::agents::Fleet;
use crate::death::{self, Death};
use crate::etcd::{self, Compaction, Member};
use crate::planes::{self, Plane};
use crate::pure::{self, Pure};
use crate::steady::{self, Due, Steady};
use crate::{machine, report, world};

/// How long a world may take until every cell serves for the first time.
const START_MAX: Duration = Duration::from_mins(2);
/// Until nothing is new any more.
const SETTLE: Duration = Duration::from_secs(5);
/// A control plane's probes of a site, per second.
const PROBES: f64 = 4.0;
const GRACE: Duration = Duration::from_secs(2);
/// Whoever may ask the control planes. Nobody does; it is the hash of no known token.
const CALLERS: &str =
    "nobody viewer d036bd6d01a1cae081d39a2f8dab751dc042de814fd60df31fcb553170950f29\n";

/// What is measured, by `make bench-control-plane STEPS="10 100" SECONDS=5`.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// How long nothing happens, in each step.
    pub(crate) duration: Duration,
    program: PathBuf,
}

/// As in `100`, or `1000:1` with so many control planes instead of one in each region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) cells: usize,
    pub(crate) planes: usize,
}

/// What a step came to.
pub(crate) struct Measured {
    pub(crate) step: Step,
    /// From empty to every cell serving; `None` if that was not to be seen, and how many did then.
    pub(crate) started: Result<Duration, usize>,
    pub(crate) steady: Steady,
    pub(crate) death: Death,
    pub(crate) compaction: Compaction,
    /// The load average before and after.
    pub(crate) load: [String; 2],
}

/// Measures, prints the tables and puts them into the document.
#[expect(clippy::print_stdout, reason = "a benchmark speaks to who runs it")]
pub async fn run() -> anyhow::Result<()> {
    let steps = setting::<String>("STEPS", "10 100 300 1000".to_owned())?;
    let steps = steps.split_whitespace().map(str::parse).collect::<anyhow::Result<_>>()?;
    let plan = Plan {
        steps,
        duration: Duration::from_secs(setting("SECONDS", 15)?),
        program: setting("CONTROL_PLANE", "target/debug/control-plane".to_owned())?.into(),
    };
    let machine = machine::describe();
    let mut pure: Vec<Pure> = Vec::new();
    for cells in [10, 100, 300, 1000] {
        pure.push(pure::measure(cells)?);
    }
    println!("{}", report::pure(&pure));
    let mut measured = Vec::new();
    for step in &plan.steps {
        let one = Box::pin(measure(*step, &plan)).await;
        let one = one.with_context(|| format!("measure {} cells", step.cells))?;
        println!("{}", report::lines(&one));
        measured.push(one);
    }
    let text = report::text(&plan, &machine, &pure, &measured);
    println!("{text}");
    match env::var_os("DOCUMENT") {
        Some(document) => report::put(Path::new(&document), &text),
        None => Ok(()),
    }
}

async fn measure(step: Step, plan: &Plan) -> anyhow::Result<Measured> {
    let folder = env::temp_dir().join(format!("bulkhead-scale-{}", std::process::id()));
    let text = world::text(step.cells);
    let spec = world::spec(&text)?;
    prepare(&folder, &text)?;
    let load = machine::load_average();
    let http = HttpClient::default();
    let mut members = etcd::start(&spec, &folder).await?;
    let fleet = Arc::new(Fleet::new(&spec));
    let mut tasks = Tasks::default();
    fleet.start(&mut tasks);
    let begun = Instant::now();
    let planes = planes::start(&spec, step.planes, &plan.program, &folder, &http).await?;
    let mut outcome = Err(anyhow!("the stand-ins for the agents ended first"));
    let work = async {
        outcome = through(step, plan, &spec, &fleet, &mut members, planes, begun, &http).await;
    };
    Box::pin(tasks.run(work, GRACE)).await?;
    drop(members);
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    let (started, steady, death, compaction) = outcome?;
    let load = [load, machine::load_average()];
    Ok(Measured { step, started, steady, death, compaction, load })
}

type Outcome = (Result<Duration, usize>, Steady, Death, Compaction);

#[expect(clippy::too_many_arguments, reason = "all that there is, once")]
async fn through(
    step: Step,
    plan: &Plan,
    spec: &Spec,
    fleet: &Fleet,
    members: &mut [Member],
    mut planes: Vec<Plane>,
    begun: Instant,
    http: &HttpClient,
) -> anyhow::Result<Outcome> {
    let started = loop {
        let (steady, _) = fleet.steady();
        if steady == step.cells {
            break Ok(begun.elapsed());
        }
        if begun.elapsed() > START_MAX {
            break Err(steady);
        }
        sleep(Duration::from_millis(50)).await;
    };
    sleep(SETTLE).await;
    let due = due(step, spec)?;
    let steady = steady::measure(plan.duration, fleet, members, &planes, due, http).await?;
    let death = death::measure(spec, fleet, members, &mut planes, http).await?;
    let member = members.last().context("find a member of etcd that lives")?;
    let compaction = member.compact(http).await?;
    Ok((started, steady, death, compaction))
}

fn due(step: Step, spec: &Spec) -> anyhow::Result<Due> {
    let count = |number: usize| anyhow::Ok(f64::from(u32::try_from(number)?));
    let sites = world::sites(spec).count();
    Ok(Due {
        renewals: count(step.cells)? / spec.lease.renew.as_secs_f64(),
        probes: count(sites * step.planes)? * PROBES,
    })
}

/// What control planes read from disk.
fn prepare(folder: &Path, spec: &str) -> anyhow::Result<()> {
    let secrets = folder.join("secrets");
    fs::create_dir_all(&secrets).with_context(|| format!("make {}", secrets.display()))?;
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    write(secrets.join("control-plane.callers"), CALLERS)?;
    write(secrets.join("console.key"), &"k".repeat(64))?;
    write(folder.join("regions.yaml"), spec)
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (cells, planes) = text.split_once(':').unwrap_or((text, "5"));
        let number = |text: &str| text.parse().with_context(|| format!("understand step {text:?}"));
        let step = Self { cells: number(cells)?, planes: number(planes)? };
        if step.cells == 0 || !(2..=world::REGIONS.len()).contains(&step.planes) {
            bail!(
                "measure {text}: at least one cell, and 2 to 5 control planes, as one of them dies"
            );
        }
        Ok(step)
    }
}

/// From the environment, where `make` puts it; empty is as good as not there.
fn setting<T: FromStr>(name: &str, default: T) -> anyhow::Result<T>
where
    T::Err: Display,
{
    match env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|err| anyhow!("understand {name}={text}: {err}"))
        }
        Ok(_) | Err(_) => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_control_planes_has_one_in_each_region() {
        let step = |text: &str| text.parse::<Step>().ok();
        assert_eq!(step("100"), Some(Step { cells: 100, planes: 5 }));
        assert_eq!(step("1000:2"), Some(Step { cells: 1000, planes: 2 }));
        assert_eq!((step("1000:1"), step("0"), step("many")), (None, None, None));
    }
}
