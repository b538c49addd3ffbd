//! `clock.offset`: the wall clock of a cell's active site, of its services and its PostgreSQL, is wrong by
//! as much until healed. Monotonic clocks go on as they did.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, Method, header};
use runtime::clock::unix_millis;
use runtime::fake_clock::{FOLDER, RIGHT};
use runtime::{HttpClient, file};
use tokio::time::{Instant, sleep, timeout};
use topology::SiteId;
use topology::address::Port;

use super::{Bench, Injection};
use crate::drill::Offset;
use crate::final_reads::database::ask;
use crate::safeguard::Safeguard;
use crate::undo::{Undo, Undone};

/// What a platform needs for it.
pub(crate) const WITHOUT: &str =
    "nobody can set the clocks of this platform; start it with `platform up --clocks`";

const MODE: u32 = 0o644;
const PAUSE: Duration = Duration::from_millis(100);
const ASK: Duration = Duration::from_secs(1);
/// A `Date` has whole seconds, and asking takes a moment.
const SLACK_MS: u64 = 2_000;

pub(super) async fn inject(
    bench: &Bench<'_>,
    site: &SiteId,
    offset: Offset,
    safeguard: &Safeguard,
    injection: &mut Injection,
) -> anyhow::Result<()> {
    let path = bench.platform.run_dir.join(FOLDER).join(site.to_string());
    let told = path.display();
    ensure!(path.exists(), "find {told}: {WITHOUT}");
    safeguard.intend(Undo::Clock { path: path.clone() }, bench.action.ttl)?;
    injection.begin(&bench.clock);
    let text = offset.to_string();
    file::replace(&path, text.as_bytes(), MODE).with_context(|| format!("write {told}"))?;
    injection.step(&bench.clock, format!("set the clocks of {site} to {text} s"));
    let due = Instant::now() + bench.action.verify_within;
    loop {
        let (postgres, gateway) = (postgres(bench, site).await?, gateway(bench, site).await?);
        let off = |shown: u64| shown.abs_diff(offset.from(unix_millis()));
        // A server makes the date of its answers anew when it is later than the last, and only then.
        let shows = offset.is_ahead();
        if off(postgres) <= SLACK_MS && (off(gateway) <= SLACK_MS || !shows) {
            injection.proof.push(format!("PostgreSQL of {site} is at {text} s"));
            if shows {
                injection.proof.push(format!("the gateway of {site} is at {text} s"));
            }
            return Ok(());
        }
        ensure!(
            Instant::now() < due,
            "see the clocks of {site} at {text} s: PostgreSQL is {} ms off that, the gateway {} ms",
            off(postgres),
            off(gateway)
        );
        sleep(PAUSE).await;
    }
}

/// Returns what the database takes the time for, in milliseconds since 1970.
async fn postgres(bench: &Bench<'_>, site: &SiteId) -> anyhow::Result<u64> {
    let answer = ask(bench.platform, site, async |client| {
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = client.query_one(query, &[]).await.context("ask for the time")?;
        u64::try_from(row.get::<_, i64>(0)).context("read the time")
    });
    timeout(ASK, answer).await.with_context(|| format!("ask PostgreSQL of {site}: silence"))?
}

/// Returns what the services take the time for, by the date on any of their answers.
async fn gateway(bench: &Bench<'_>, site: &SiteId) -> anyhow::Result<u64> {
    let spec = &bench.platform.spec;
    let address = spec.site_address(&site.cell, &site.region, Port::Gateway);
    let address = address.with_context(|| format!("find {site} in the spec"))?;
    let url = format!("http://{address}/livez");
    let http = HttpClient::default();
    let answer = http.call(Method::GET, &url, HeaderMap::new(), "", ASK).await?;
    let date = answer.headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.with_context(|| format!("find a date on the answer of {site}"))?;
    let time = httpdate::parse_http_date(date).context("read the date")?;
    let since = time.duration_since(std::time::SystemTime::UNIX_EPOCH).context("read the date")?;
    u64::try_from(since.as_millis()).context("read the date")
}

/// Sets a clock right.
pub(crate) fn set_right(path: &Path) -> anyhow::Result<Undone> {
    if !path.exists() || is_right(path)? {
        return Ok(Undone::Before);
    }
    let written = file::replace(path, RIGHT.as_bytes(), MODE);
    written.map(|()| Undone::Now).with_context(|| format!("write {}", path.display()))
}

/// Returns the clocks that are not right.
pub(crate) fn of_drills(run_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = run_dir.join(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if !is_right(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_right(path: &Path) -> anyhow::Result<bool> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim() == RIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_is_wrong_is_set_right() {
        let run_dir = std::env::temp_dir().join(format!("chaos-clocks-{}", std::process::id()));
        fs::create_dir_all(run_dir.join(FOLDER)).unwrap();
        let clock = |name: &str| run_dir.join(FOLDER).join(name);
        fs::write(clock("c1@east"), "+3600").unwrap();
        fs::write(clock("c2@north"), RIGHT).unwrap();
        assert_eq!(of_drills(&run_dir).unwrap(), [clock("c1@east")]);
        assert_eq!(set_right(&clock("c1@east")).unwrap(), Undone::Now);
        assert_eq!(set_right(&clock("c1@east")).unwrap(), Undone::Before);
        assert_eq!(set_right(&clock("c3@south")).unwrap(), Undone::Before);
        assert!(of_drills(&run_dir).unwrap().is_empty());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
