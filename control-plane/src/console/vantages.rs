//! The matrix of who sees which site how: a bad column is a site's, a bad row an observer's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use askama::Template;
use runtime::Problem;
use serde::Deserialize;
use serde_json::Value;

use super::call::call;
use super::page::{Reader, Scene};
use super::texts::{Texts, fill};
use super::words::{Mark, Tone, duration};

#[derive(Template)]
#[template(path = "console/vantages.html")]
pub(super) struct VantagesPage<'a> {
    t: &'a Texts,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

struct Column {
    name: String,
    heard: Mark,
    age: String,
    blind_to: String,
}

struct Row {
    cell: String,
    region: String,
    squares: Vec<Option<Square>>,
}

struct Square {
    mark: Mark,
    detail: String,
    counts: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Vec<Vantage>,
}

#[derive(Debug, Deserialize)]
struct Vantage {
    id: String,
    age_ms: Option<u64>,
    fresh: bool,
    #[serde(default)]
    blind_to: Vec<String>,
    sites: BTreeMap<String, Sight>,
}

#[derive(Debug, Deserialize)]
struct Sight {
    health: String,
    #[serde(default)]
    deep: Option<Deep>,
    #[serde(default)]
    counts: bool,
}

#[derive(Debug, Deserialize)]
struct Deep {
    latency_us: u64,
}

impl<'a> VantagesPage<'a> {
    /// Asks the API.
    pub(super) async fn read(scene: &Scene<'a>, reader: &Reader) -> Result<Self, Problem> {
        let answer = call(scene.console, reader, "GET", "/v1/vantages", &[], &Value::Null).await?;
        let Answer { data } = serde_json::from_value(answer).map_err(|err| {
            Problem::new(500, "internal", "The API was not understood").detail(err.to_string())
        })?;
        Ok(Self::of(scene, &data))
    }

    fn of(scene: &Scene<'a>, vantages: &[Vantage]) -> Self {
        let sites: BTreeSet<&String> =
            vantages.iter().flat_map(|vantage| vantage.sites.keys()).collect();
        let rows = sites.into_iter().map(|site| {
            let (cell, region) = site.split_once('@').unwrap_or((site, ""));
            let squares =
                vantages.iter().map(|vantage| Some(square(scene, vantage.sites.get(site)?)));
            Row {
                cell: cell.to_owned(),
                region: scene.region_name(region),
                squares: squares.collect(),
            }
        });
        Self {
            t: scene.t,
            rows: rows.collect(),
            columns: vantages.iter().map(|vantage| column(scene, vantage)).collect(),
        }
    }
}

fn column(scene: &Scene<'_>, vantage: &Vantage) -> Column {
    let t = scene.t;
    let blind: Vec<String> =
        vantage.blind_to.iter().map(|region| scene.region_name(region)).collect();
    Column {
        name: scene.region_name(&vantage.id),
        heard: if vantage.fresh {
            Mark::new(Tone::Good, t.counts)
        } else {
            Mark::new(Tone::Warn, t.counts_not)
        },
        age: match vantage.age_ms.map(Duration::from_millis) {
            // Vantages tell every two seconds; less than a few tells nothing.
            Some(age) if age < Duration::from_secs(6) => String::new(),
            Some(age) => fill(t.heard_ago, &[("age", &duration(age))]),
            None => t.not_heard.to_owned(),
        },
        blind_to: if blind.is_empty() {
            String::new()
        } else {
            fill(t.blind_to, &[("regions", &blind.join(", "))])
        },
    }
}

fn square(scene: &Scene<'_>, sight: &Sight) -> Square {
    let t = scene.t;
    let mark = match sight.health.as_str() {
        "healthy" => Mark::new(Tone::Good, t.healthy),
        "slow" => Mark::new(Tone::Warn, t.slow),
        "failing" => Mark::new(Tone::Bad, t.failing),
        "unreachable" => Mark::new(Tone::Bad, t.no_answer),
        _ => Mark { tone: Tone::Calm, sign: "?", word: t.unknown.to_owned() },
    };
    let millis = sight.deep.as_ref().map(|deep| deep.latency_us.div_ceil(1000));
    // Tens: what is below changes with every probe and tells nothing.
    let rounded = millis.map(|millis| {
        if millis < 100 { "< 100".to_owned() } else { (millis / 100 * 100).to_string() }
    });
    Square {
        mark,
        detail: rounded.map_or_else(String::new, |millis| format!("{millis} ms")),
        counts: sight.counts,
    }
}
