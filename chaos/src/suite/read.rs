//! Reads a suite's file, and everything that is wrong with it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::calendar::{Calendar, Cron, date};
use super::{Alarms, Item, Suite};
use crate::drill::Drill;
use crate::drill::catalogue::DRILLS;
use crate::drill::yaml::{Finding, Need, Reader, Section, parse};

const KEYS: [&str; 9] = [
    "version",
    "title",
    "seed",
    "windows",
    "blocked",
    "blocked-dates",
    "starting-deadline",
    "blocking-alarms",
    "drills",
];
/// As long as two drills take that are due at the same time.
const DEADLINE: Duration = Duration::from_mins(30);
/// More than a week has hours for.
const ITEMS_MAX: usize = 200;

pub(super) fn read(name: &str, text: &str) -> Result<Suite, Vec<Finding>> {
    let node = parse(text).map_err(|finding| vec![finding])?;
    let mut reader = Reader::default();
    let Some(root) = reader.root(&node, &KEYS) else { return Err(reader.into_findings()) };
    reader.value(&root, "version", Need::Must, "1", |text| (text == "1").then_some(()));
    let suite = Suite {
        name: name.to_owned(),
        title: reader.text(&root, "title", Need::Must).unwrap_or_default(),
        seed: reader.number(&root, "seed").unwrap_or(1),
        calendar: Calendar {
            windows: crons(&mut reader, &root, "windows"),
            blocked: crons(&mut reader, &root, "blocked"),
            dates: reader
                .words(&root, "blocked-dates", "a date such as \"2026-12-24\"", date)
                .into_iter()
                .collect(),
        },
        deadline: reader.duration(&root, "starting-deadline", Need::May).unwrap_or(DEADLINE),
        alarms: alarms(&mut reader, &root),
        items: items(&mut reader, &root),
    };
    let findings = reader.into_findings();
    if findings.is_empty() { Ok(suite) } else { Err(findings) }
}

fn crons(reader: &mut Reader, root: &Section<'_>, key: &'static str) -> Vec<Cron> {
    let expected = "a pattern of cron such as \"* 1-5 * * mon-fri\"";
    reader.words(root, key, expected, |text| Cron::parse(text).ok())
}

fn alarms(reader: &mut Reader, root: &Section<'_>) -> Alarms {
    const KEY: &str = "blocking-alarms";
    if !root.keys().iter().any(|key| key == KEY) {
        return Alarms::All;
    }
    let expected = "the name of an alert, and not no-passing-drill, which only a drill takes away";
    let names = reader
        .words(root, KEY, expected, |text| (text != Alarms::UNREHEARSED).then(|| text.to_owned()));
    Alarms::Named(names.into_iter().collect())
}

fn items(reader: &mut Reader, root: &Section<'_>) -> Vec<Item> {
    let sections = reader.sections(root, "drills", Need::Must, &["drill", "cron"]);
    if sections.is_empty() || sections.len() > ITEMS_MAX {
        reader.report(root, "drills", format!("out of range: 1 to {ITEMS_MAX} drills"));
    }
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for section in &sections {
        let drill = reader.value(section, "drill", Need::Must, "a name of chaos list", |name| {
            let (name, text) = DRILLS.iter().find(|(known, _)| *known == name)?;
            Drill::parse(name, text).ok()
        });
        let cron = reader.text(section, "cron", Need::Must).and_then(|text| {
            Cron::parse(&text).map_err(|why| reader.report(section, "cron", why)).ok()
        });
        let Some((drill, cron)) = drill.zip(cron) else { continue };
        // What is past is told apart by the drill's name.
        if !seen.insert(drill.name.clone()) {
            reader.report(section, "drill", "repeated: write both times into one pattern");
        }
        items.push(Item { drill, cron });
    }
    items
}
